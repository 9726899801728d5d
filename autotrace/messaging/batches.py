"""Lists of records that a consumer hands out at once: iterated, each record has its span in turn; the rest shares one span.

Limit: indexing and slicing make no record current. Passing a list on to a thread is fine: each pass has its own scope.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.consumer_span import PLACE, UNREAD, Scope, begin, refer
from autotrace.tracing.clock import time_ns
from autotrace.tracing.span import LINKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.messaging.consumer_span import Reading
    from autotrace.semantics.family import SharedFacts


class Batch:
    """What was delivered in one list, and of it, what is not iterated yet. Its span is made when the list is dropped."""

    __slots__ = ("__weakref__", "facts", "finished", "reading", "shared", "start_time", "turned", "waiting")

    def __init__(self, records: list[Any], reading: Reading, shared: SharedFacts, facts: dict[str, Any]) -> None:
        self.waiting: dict[int, Any] = {}  # first: where reading fails, this is dropped half made
        headers = reading.headers
        self.waiting = {id(record): headers(record) for record in records}
        """Not the records: the program may drop them one by one."""
        self.reading = reading
        self.shared = shared
        self.facts = facts
        self.start_time = time_ns()
        self.turned = 0
        """ns: when the program asked for more, which ends its work on these."""
        self.finished = False

    def open(self, record: Any, scope: Scope) -> None:
        """The record's own span; on a second pass, the one that it had."""
        headers = self.waiting.pop(id(record), UNREAD)
        if headers is UNREAD:
            scope.resume(record)
        else:
            scope.open(record, headers)

    def finish(self) -> None:
        """One span for the records that were not iterated, in the trace of the first, with links to their producers, to as many as a span can have.

        Called once more it does nothing. What is iterated afterwards has its own spans all the same.
        """
        waiting = self.waiting
        if not waiting or self.finished:
            return
        self.finished = True
        try:
            self.facts["count"] = len(waiting)
            remotes = map(self.reading.remote, waiting.values())
            known = (remote for remote in remotes if remote is not None and remote.trace_id)
            producers = list(islice(known, LINKS))
            span = begin(self.facts, self.shared, producers[0] if producers else None)
            if span is not None:
                for producer in producers[1:]:
                    refer(span, producer)
                span.start_time = self.start_time
                span.end(self.turned or None)
        except Exception:
            contained(PLACE)

    def __del__(self) -> None:
        self.finish()


class Records(list[Any]):
    """The list itself, in every respect but iteration. Copies, slices and pickles of it are plain lists."""

    __slots__ = ("_batch",)
    _batch: Batch

    def __iter__(self) -> Iterator[Any]:
        return Pass(list.__iter__(self), self._batch)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (self[:],)


class Pass:
    """One pass over a list of records; the records' end is the next one, the end of the list, or that this is dropped."""

    __slots__ = ("_batch", "_records", "_scope")

    def __init__(self, records: Iterator[Any], batch: Batch) -> None:
        self._records = records
        self._batch = batch
        self._scope = Scope(batch.reading, batch.shared)

    def __iter__(self) -> Pass:
        return self

    def __next__(self) -> Any:
        try:
            record = next(self._records)
        except BaseException:
            self._scope.close()
            raise
        self._batch.open(record, self._scope)
        return record

    def __length_hint__(self) -> int:
        return self._records.__length_hint__()  # type: ignore[attr-defined, no-any-return]

    def __del__(self) -> None:
        self._scope.close_dropped()


def recorded(records: list[Any], reading: Reading, shared: SharedFacts, facts: dict[str, Any]) -> Records:
    """`records` as a list that opens each record's scope. `facts`: of the span that the records share which nobody iterates."""
    batch = Batch(records, reading, shared, facts)
    made = Records(records)
    made._batch = batch
    return made
