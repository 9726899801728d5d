"""The consumer span of one record: active from delivery until the program turns to something else. Knows no library.

Limit: the end of a record taken by `next()` shows in the consumer's next call, its collection, or the thread's end.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.messaging.loop_exception import leaving
from autotrace.messaging.recent import Recent
from autotrace.messaging.record_context import ActiveRecord, enclosing, reactivate
from autotrace.propagation.context import SAMPLED, Remote
from autotrace.semantics import messaging, topics
from autotrace.tracing import tracer
from autotrace.tracing.current import get, put
from autotrace.tracing.span import FOLLOWS_FROM, Span, SpanLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.messaging.record_adapter import RecordAdapter
    from autotrace.semantics.family import SharedFacts

PLACE = "a consumer span"
_get_ident = threading.get_ident
UNREAD: Any = object()


recent_records = Recent(1024)
"""Key of a record -> (its span, its producer or None), so that its span can be reactivated."""

_forks = 0
"""A parent ends the records that it had open at a fork; its child does not end them too."""


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


def start_span(facts: dict[str, Any], shared: SharedFacts, remote: Remote | None) -> Span | None:
    """A consumer span, not active yet. AUTOTRACE_CONSUMER_RELATION relates it to the producer.

    Without a producer it is a child of the active span. None: the topic is excluded, or tracing is suppressed.
    """
    if topics.excluded(facts.get("topic")):
        return None
    producer = remote if remote is not None and remote.trace_id else None
    if producer is not None and tracer.consumer_relation == "link":
        remote = Remote(decision=producer.decision)  # no ids: a new trace, with the producer's sampling decision
    span = tracer.start(messaging.CONSUMER, SpanKind.CONSUMER, facts, shared, remote)
    if producer is not None and span is not None and tracer.consumer_relation != "child_of":
        link_producer(span, producer)
    return span


def link_producer(span: Span, producer: Remote) -> None:
    """Add a link to a producer: a plain link if AUTOTRACE_CONSUMER_RELATION=link, else one marked FOLLOWS_FROM."""
    attributes: Mapping[str, Any] = {} if tracer.consumer_relation == "link" else FOLLOWS_FROM
    if span.links is None and type(span) is Span and span.flags & SAMPLED:  # the first link of a new span: no call
        span.links = [SpanLink(producer.trace_id, producer.span_id, attributes)]
    else:
        span.link(producer.trace_id, producer.span_id, attributes)


class ConsumerSpan:
    """The span of the last record that a consumer, or a loop over a list, has given. No method raises."""

    __slots__ = ("__weakref__", "active", "adapter", "forks", "handled", "in_for_loop", "shared", "thread")

    def __init__(self, adapter: RecordAdapter, shared: SharedFacts) -> None:
        self.adapter = adapter
        self.shared = shared
        self.active: ActiveRecord | None = None
        self.in_for_loop = False
        """An iterator has given the record, and it will notice the record's end."""
        self.thread = self.handled = self.forks = 0

    def open_in_thread(self, record: Any) -> None:
        """open() for `next()`: only the consumer's next call, or the end of this thread, ends the record."""
        self.in_for_loop = False
        if self.thread != _get_ident():
            self.thread = _get_ident()
            _this_thread.spans.add(self)
        self.open(record)

    def open(self, record: Any, headers: Any = UNREAD) -> None:
        """Start the record's span and activate it. The previous record's span ends. `headers`: if known already."""
        self.close()
        current = get()
        try:
            before, base, place = enclosing()
            adapter = self.adapter
            remote = adapter.extract(adapter.headers(record) if headers is UNREAD else headers)
            if base is not current:
                put(base)  # beneath all records: no record is ever the parent of another
            span = start_span(adapter.facts(record), self.shared, remote)
            if span is not None:
                self.forks = _forks
                self.handled = id(sys.exc_info()[1])
                self.active = ActiveRecord(span, before, base, place, remote)
                recent_records.put(adapter.key(record), (span, remote))
        except Exception:
            contained(PLACE)
        if self.active is None and get() is not current:
            put(current)

    def reopen(self, record: Any) -> None:
        """Activate the span of a record that was delivered before. Nothing happens if the record is forgotten."""
        self.close()
        try:
            found = recent_records.get(self.adapter.key(record))
            self.active = None if found is None else reactivate(*found)
        except Exception:
            contained(PLACE)

    def close(self, error: BaseException | None = None) -> None:
        """End the span, as failed if there is an `error`, and restore the context from before it."""
        active = self.active
        if active is None:
            return
        self.active = None
        try:
            active.deactivate()
            if self.forks == _forks:
                if isinstance(error, Exception):
                    active.span.fail(error)
                active.span.end()
        except Exception:
            contained(PLACE)

    def close_in_handler(self) -> None:
        """close() by a method that stands in `finally` or `except`. An exception handled there fails the span."""
        if self.active is not None:
            error = sys.exc_info()[1]
            self.close(None if id(error) == self.handled else error)

    def close_in_finalizer(self) -> None:
        """close() from the finalizer of an iterator. The caller's caller is the frame that drops the iterator."""
        if self.active is not None:
            error = None
            try:
                error = leaving(sys._getframe(2))
            except Exception:
                contained(PLACE)
            self.close(error)

    def __del__(self) -> None:
        self.close()


class _ThreadSpans(WeakSet[ConsumerSpan]):
    """The consumer spans that `next()` opened in one thread."""

    def close(self) -> None:
        for span in list(self):
            if span.thread == _get_ident():
                span.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:
            pass  # the interpreter is on its way out


class _Thread(threading.local):
    """Dropped when its thread ends. Its consumer spans are closed then."""

    def __init__(self) -> None:
        self.spans = _ThreadSpans()


_this_thread = _Thread()


@atexit.register
def _exiting() -> None:
    _this_thread.spans.close()
