"""The span of the record in work: current from its delivery until the program turns to something else. Knows no library.

Limit: a record taken by `next()` has no end that we see before the consumer's next call, its collection, or the thread's end.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.messaging.loop_exception import leaving
from autotrace.messaging.recent import Recent
from autotrace.messaging.record_context import InWork, places, resumed
from autotrace.propagation.context import SAMPLED, Remote
from autotrace.semantics import messaging, topics
from autotrace.tracing import tracer
from autotrace.tracing.current import get, put
from autotrace.tracing.span import FOLLOWS_FROM, Span, SpanLink

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from autotrace.semantics.family import SharedFacts

PLACE = "the scope of a record"
_get_ident = threading.get_ident
UNREAD: Any = object()


class Reading(NamedTuple):
    """How the records of a library are read; its patch says it."""

    facts: Callable[[Any], dict[str, Any]]
    """Record -> facts of messaging.CONSUMER."""
    key: Callable[[Any], Hashable]
    """Record -> what tells it from all others in this process, without keeping it alive."""
    headers: Callable[[Any], Any]
    """Record -> its headers."""
    remote: Callable[[Any], Remote | None]
    """Headers -> the producer."""


readings: dict[type, Reading] = {}
"""Type of a record -> how it is read."""

delivered = Recent(1024)
"""Key of a record -> (its span, its producer or None): what carry() resumes."""

_generation = 0
"""Counts forks: what a parent had in work, the parent ends."""


def _forked() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_forked)


def begin(facts: dict[str, Any], shared: SharedFacts, remote: Remote | None) -> Span | None:
    """A consumer's span, not current: in its producer's trace by AUTOTRACE_CONSUMER_RELATION, else beneath what is current.

    None: this topic is left alone, or tracing is suppressed.
    """
    if topics.excluded(facts.get("topic")):
        return None
    producer = remote if remote is not None and remote.trace_id else None
    if producer is not None and tracer.consumer_relation == "link":
        remote = Remote(decision=producer.decision)  # no ids: a new trace, kept or not as the producer's is
    span = tracer.start(messaging.CONSUMER, SpanKind.CONSUMER, facts, shared, remote)
    if producer is not None and span is not None and tracer.consumer_relation != "child_of":
        refer(span, producer)
    return span


def refer(span: Span, producer: Remote) -> None:
    """A link to a producer; FOLLOWS_FROM, unless plain links are what was asked for."""
    attributes: Mapping[str, Any] = {} if tracer.consumer_relation == "link" else FOLLOWS_FROM
    if span.links is None and type(span) is Span and span.flags & SAMPLED:  # the first of a span that has just begun
        span.links = [SpanLink(producer.trace_id, producer.span_id, attributes)]
    else:
        span.link(producer.trace_id, producer.span_id, attributes)


class Scope:
    """What one consumer, or one pass over a list of records, has in work: one record at most. No method raises."""

    __slots__ = ("__weakref__", "generation", "handled", "looping", "reading", "shared", "thread", "work")

    def __init__(self, reading: Reading, shared: SharedFacts) -> None:
        self.reading = reading
        self.shared = shared
        self.work: InWork | None = None
        self.looping = False
        """An iterator has the record, and will tell its end."""
        self.thread = self.handled = self.generation = 0

    def deliver(self, record: Any) -> None:
        """open() for `next()`: only another call of the consumer, or the end of this thread, will tell the record's end."""
        self.looping = False
        if self.thread != _get_ident():
            self.thread = _get_ident()
            _this_thread.scopes.add(self)
        self.open(record)

    def open(self, record: Any, headers: Any = UNREAD) -> None:
        """Start the record's span and make it current. What was in work ends. `headers`: the record's, where they are known."""
        self.close()
        current = get()
        try:
            before, base, place = places()
            reading = self.reading
            remote = reading.remote(reading.headers(record) if headers is UNREAD else headers)
            if base is not current:
                put(base)  # beneath all records: no record is ever the parent of another
            span = begin(reading.facts(record), self.shared, remote)
            if span is not None:
                self.generation = _generation
                self.handled = id(sys.exc_info()[1])
                self.work = InWork(span, before, base, place, remote)
                delivered.put(reading.key(record), (span, remote))
        except Exception:
            contained(PLACE)
        if self.work is None and get() is not current:
            put(current)

    def resume(self, record: Any) -> None:
        """Make current again the span of a record that was delivered before; nothing where that is forgotten."""
        self.close()
        try:
            found = delivered.get(self.reading.key(record))
            self.work = None if found is None else resumed(*found)
        except Exception:
            contained(PLACE)

    def close(self, error: BaseException | None = None) -> None:
        """End the span, failed where an `error` is given, and restore what was current where the span still is."""
        work = self.work
        if work is None:
            return
        self.work = None
        try:
            work.leave()
            if self.generation == _generation:
                if isinstance(error, Exception):
                    work.span.fail(error)
                work.span.end()
        except Exception:
            contained(PLACE)

    def close_handling(self) -> None:
        """close() by a call that stands in `finally` and `except`: the exception that is handled there is the record's failure."""
        if self.work is not None:
            error = sys.exc_info()[1]
            self.close(None if id(error) == self.handled else error)

    def close_dropped(self) -> None:
        """close() from the finalizer of an iterator; the frame that drops it is the caller's caller."""
        if self.work is not None:
            error = None
            try:
                error = leaving(sys._getframe(2))
            except Exception:
                contained(PLACE)
            self.close(error)

    def __del__(self) -> None:
        self.close()


class _Delivering(WeakSet[Scope]):
    """The scopes in which `next()` delivers to one thread."""

    def close(self) -> None:
        for scope in list(self):
            if scope.thread == _get_ident():
                scope.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:
            pass  # the interpreter is on its way out


class _Thread(threading.local):
    """Dropped when its thread ends, and with it the scopes close."""

    def __init__(self) -> None:
        self.scopes = _Delivering()


_this_thread = _Thread()


@atexit.register
def _exiting() -> None:
    _this_thread.scopes.close()


class Loop:
    """`iter(consumer)`: still an iterator, to isinstance() and getattr() the consumer itself, but not `is consumer`.

    It alone knows when a loop is left: `break`, `return` and exceptions drop it, and that closes the scope.
    """

    __slots__ = ("_consumer", "_scope", "_work")

    def __init__(self, consumer: Any, scope: Scope) -> None:
        self._work: InWork | None = None
        self._consumer = consumer
        self._scope = scope

    def __iter__(self) -> Loop:
        return self

    def __next__(self) -> Any:
        record = next(self._consumer)
        scope = self._scope
        scope.looping = True
        self._work = scope.work
        return record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._consumer)

    def __del__(self) -> None:
        if self._work is not None and self._scope.work is self._work:
            self._scope.close_dropped()


class carry:
    """`with autotrace.carry(record):` what runs in it belongs to that record's span, in any thread, also after its end.

    Of a record that was not seen, or that a thousand newer ones have followed, nothing is known and nothing is done.
    """

    def __init__(self, record: Any) -> None:
        self.record = record
        self.work: InWork | None = None

    def __enter__(self) -> Any:
        try:
            reading = readings.get(type(self.record))
            found = None if reading is None else delivered.get(reading.key(self.record))
            self.work = None if found is None else resumed(*found)
        except Exception:
            contained("carry()")
        return self.record

    def __exit__(self, *_: object) -> None:
        work, self.work = self.work, None
        try:
            if work is not None:
                work.leave()
        except Exception:
            contained("carry()")
