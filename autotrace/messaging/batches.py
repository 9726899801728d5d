"""A list of records that a consumer gives at once. Iterated, each record has its span in turn; the rest share one span.

Limit: indexing and slicing activate no span. Threads may share the list, because each iterator has its own span.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.consumer_span import PLACE, UNREAD, ConsumerSpan, link_producer, start_span
from autotrace.tracing.clock import time_ns
from autotrace.tracing.span import LINKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.messaging.record_adapter import RecordAdapter
    from autotrace.semantics.family import SharedFacts


class Remaining:
    """The records of one list that are not iterated yet. Their shared span is made when the list is dropped."""

    __slots__ = ("__weakref__", "adapter", "facts", "finished", "headers", "left_at", "shared", "start_time")

    def __init__(self, records: list[Any], adapter: RecordAdapter, shared: SharedFacts, facts: dict[str, Any]) -> None:
        self.headers: dict[int, Any] = {}  # first: if the adapter fails, the finalizer runs on a half-made object
        headers = adapter.headers
        self.headers = {id(record): headers(record) for record in records}
        """id of a record -> its headers. The records themselves are not kept: the program may drop them one by one."""
        self.adapter = adapter
        self.shared = shared
        self.facts = facts
        self.start_time = time_ns()
        self.left_at = 0
        """ns: when the program asked for more, which ends its work on these."""
        self.finished = False

    def open(self, record: Any, consumer_span: ConsumerSpan) -> None:
        """The record's own span; if the list is iterated again, the span that the record had."""
        headers = self.headers.pop(id(record), UNREAD)
        if headers is UNREAD:
            consumer_span.reopen(record)
        else:
            consumer_span.open(record, headers)

    def finish(self) -> None:
        """Make one span for the remaining records, in the trace of the first, with links to their producers.

        A second call does nothing. A span has at most LINKS links. Records that are iterated later still get own spans.
        """
        headers = self.headers
        if not headers or self.finished:
            return
        self.finished = True
        try:
            self.facts["count"] = len(headers)
            remotes = map(self.adapter.extract, headers.values())
            known = (remote for remote in remotes if remote is not None and remote.trace_id)
            producers = list(islice(known, LINKS))
            shared = self.shared.replaced("operation", "receive")
            span = start_span(self.facts, shared, producers[0] if producers else None)
            if span is not None:
                for producer in producers[1:]:
                    link_producer(span, producer)
                span.start_time = self.start_time
                span.end(self.left_at or None)
        except Exception:
            contained(PLACE)

    def __del__(self) -> None:
        try:
            unfinished = self.headers and not self.finished
        except AttributeError:
            return  # half made: an exception of the program's has struck in __init__()
        if unfinished:
            self.finish()


class TracedList(list[Any]):
    """The list itself, in every respect but iteration. Copies, slices and pickles of it are plain lists."""

    __slots__ = ("_remaining",)
    _remaining: Remaining

    def __iter__(self) -> Iterator[Any]:
        return TracedListIterator(list.__iter__(self), self._remaining)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (self[:],)


class TracedListIterator:
    """A record's span ends at the next record, at the end of the list, or when this iterator is dropped."""

    __slots__ = ("_consumer_span", "_records", "_remaining")

    def __init__(self, records: Iterator[Any], remaining: Remaining) -> None:
        self._records = records
        self._remaining = remaining
        self._consumer_span = ConsumerSpan(remaining.adapter, remaining.shared)

    def __iter__(self) -> TracedListIterator:
        return self

    def __next__(self) -> Any:
        try:
            try:
                record = next(self._records)
                self._remaining.open(record, self._consumer_span)
            except BaseException:
                self._consumer_span.close()
                raise
        except BaseException:  # an exception of the program's may strike before close()
            self._consumer_span.close()
            raise
        return record

    def __length_hint__(self) -> int:
        return self._records.__length_hint__()  # type: ignore[attr-defined, no-any-return]

    def __del__(self) -> None:
        try:
            consumer_span = self._consumer_span
        except AttributeError:
            return  # half made: an exception of the program's has struck in __init__()
        consumer_span.close_in_finalizer()


def traced_list(records: list[Any], adapter: RecordAdapter, shared: SharedFacts, facts: dict[str, Any]) -> TracedList:
    """`records` as a list that opens each record's span in turn. `facts`: of the span that remaining records share."""
    remaining = Remaining(records, adapter, shared, facts)
    made = TracedList(records)
    made._remaining = remaining
    return made


def traced_copy(records: list[Any], first: TracedList) -> TracedList:
    """`records`, a new list of the records in `first`, as one that opens the same spans."""
    made = TracedList(records)
    made._remaining = first._remaining
    return made
