"""A consumer's records: the last one, and its lists. How the consumer's calls end their spans. Knows no library."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.batches import traced_list
from autotrace.messaging.consumer_span import PLACE, ConsumerSpan
from autotrace.messaging.record_context import drop_ended
from autotrace.tracing.clock import time_ns

if TYPE_CHECKING:
    from autotrace.messaging.batches import Remaining, TracedList
    from autotrace.messaging.record_adapter import RecordAdapter
    from autotrace.messaging.record_context import ActiveRecord
    from autotrace.semantics.family import SharedFacts


class ConsumerState:
    """Kept by the consumer: when it is collected, its consumer span ends. No method raises, but for wrap_list()."""

    __slots__ = ("_lists", "consumer_span")

    def __init__(self, adapter: RecordAdapter, shared: SharedFacts) -> None:
        self.consumer_span = ConsumerSpan(adapter, shared)
        self._lists: list[weakref.ref[Remaining]] = []

    def wrap_list(self, records: list[Any], adapter: RecordAdapter, facts: dict[str, Any]) -> TracedList:
        """The list, as one that opens each record's span in turn. `facts`: of the span that remaining records share."""
        made = traced_list(records, adapter, self.consumer_span.shared, facts)
        self._lists.append(weakref.ref(made._remaining))
        return made

    def on_fetch(self) -> None:
        """The program asks for more: it is done with the last record, but another thread may still work on a list."""
        consumer_span = self.consumer_span  # the body of _close(), written out: this is a hot path
        if consumer_span.active is not None:
            consumer_span.close()
        else:
            _drop_ended()
        if self._lists:
            self._leave_lists(finish=False)

    def on_record(self, consumer: Any, record: Any) -> Any:
        """The library has given a record. It is returned as it came."""
        self.consumer_span.open_in_thread(record)
        return record

    def on_failure(self) -> None:
        """The call raises, so the program gets no record, even if one has come already."""
        self.consumer_span.close()

    def on_commit(self) -> None:
        """The program is done with the record, unless an iterator will notice its end."""
        if not self.consumer_span.in_for_loop:
            self._close()

    def on_close(self) -> None:
        """The consumer is closed: no later call will end its lists."""
        self.consumer_span.close_in_handler()
        self._close()
        if self._lists:
            self._leave_lists(finish=True)

    def _close(self) -> None:
        if self.consumer_span.active is not None:
            self.consumer_span.close()
        else:
            _drop_ended()

    def _leave_lists(self, *, finish: bool) -> None:
        try:
            lists, self._lists = self._lists, []
            for reference in lists:
                remaining = reference()
                if remaining is not None:
                    remaining.left_at = time_ns()
                    if finish:
                        remaining.finish()
        except Exception:
            contained(PLACE)


def _drop_ended() -> None:
    try:
        drop_ended()
    except Exception:
        contained(PLACE)


class ConsumerProxy:
    """An iterator that is the consumer itself to isinstance() and getattr(), but not to `is`.

    A consumer does not notice that a loop is left. This iterator does, because `break`, `return`, exceptions and
    cancellation drop it: its finalizer closes the consumer span.
    """

    __slots__ = ("_active", "_consumer", "_consumer_span", "_state")

    def __init__(self, consumer: Any, state: Any) -> None:
        self._active: ActiveRecord | None = None
        self._consumer = consumer
        self._state = state
        self._consumer_span: ConsumerSpan = state.consumer_span

    def __getattr__(self, name: str) -> Any:
        if name in ConsumerProxy.__slots__:  # half made: an exception of the program's has struck in __init__()
            raise AttributeError(name)
        return getattr(self._consumer, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._consumer)

    def __del__(self) -> None:
        try:
            left = self._active is not None and self._consumer_span.active is self._active
        except AttributeError:
            return  # half made: an exception of the program's has struck in __init__()
        if left:
            self._consumer_span.close_in_finalizer()


class ConsumerIterator(ConsumerProxy):
    """`iter(consumer)`."""

    __slots__ = ()

    def __iter__(self) -> ConsumerIterator:
        return self

    def __next__(self) -> Any:
        consumer_span = self._consumer_span
        try:
            record = next(self._consumer)
            consumer_span.in_for_loop = True
            self._active = consumer_span.active
        except BaseException:
            consumer_span.close()
            raise
        return record
