"""The consumer span of one record: active from delivery until the program turns to something else. Knows no library.

Limit: the end of a record taken by `next()` shows in the consumer's next call, its collection, or the thread's end.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.messaging.loop_exception import leaving
from autotrace.messaging.recent_records import RecentRecords
from autotrace.messaging.record_context import ActiveRecord, enclosing, reactivate
from autotrace.messaging.thread_spans import this_thread
from autotrace.propagation.context import SAMPLED, Remote
from autotrace.semantics import messaging, topics
from autotrace.tracing import forks, tracer
from autotrace.tracing.current import get, put
from autotrace.tracing.span import FOLLOWS_FROM, Span, SpanLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context.context import Context

    from autotrace.messaging.record_adapter import RecordAdapter
    from autotrace.semantics.family import SharedFacts

PLACE = "a consumer span"
UNREAD: Any = object()

recent_records = RecentRecords(1024)

_forks = 0
"""A parent ends the records that it had open at a fork; its child does not end them too."""


def _forked() -> None:
    global _forks
    _forks += 1


forks.in_child(_forked)


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
        self.handled = self.forks = 0
        self.thread: object = None

    def open_in_thread(self, record: Any) -> None:
        """open() for `next()`: only the consumer's next call, or the end of this thread, ends the record."""
        self.in_for_loop = False
        spans = this_thread.spans
        if self.thread is not spans.thread:
            self.thread = spans.thread
            spans.add(self)
        self.open(record)

    def open(self, record: Any, headers: Any = UNREAD) -> None:
        """Start the record's span and activate it. The previous record's span ends. `headers`: if known already."""
        self.close()
        current = get()
        try:
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
                    recent_records.add(adapter.key(record), record, span, remote)
            except Exception:
                contained(PLACE)
            if self.active is None and get() is not current:
                put(current)
        except BaseException:
            self._forget(current)
            raise

    def reopen(self, record: Any) -> None:
        """Activate the span of a record that was delivered before. Nothing happens if the record is forgotten."""
        self.close()
        current = get()
        try:
            try:
                found = recent_records.find(self.adapter.key(record), record)
                self.active = None if found is None else reactivate(*found)
            except Exception:
                contained(PLACE)
        except BaseException:
            self._forget(current)
            raise

    def _forget(self, before: Context) -> None:
        """An exception of the program's has struck while a record was opened: the program never gets this record."""
        active, self.active = self.active, None
        put(before)
        if active is not None:
            active.open = False

    def close(self, error: BaseException | None = None) -> None:
        """End the span, as failed if there is an `error`, and restore the context from before it."""
        active = self.active
        if active is None:
            return
        try:
            try:
                self.active = None
                active.deactivate()
                if self.forks == _forks:
                    if isinstance(error, Exception):
                        active.span.fail(error)
                    active.span.end()
            except Exception:
                contained(PLACE)
        except BaseException:  # of the program's: it has struck here
            self.active = None
            active.deactivate()
            if self.forks == _forks:
                active.span.end()
            raise

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
            except ValueError:
                pass  # no Python code drops it
            except Exception:
                contained(PLACE)
            self.close(error)

    def __del__(self) -> None:
        try:
            self.close()
        except AttributeError:
            pass  # half made: an exception of the program's has struck in __init__()
