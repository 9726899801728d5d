"""An asyncio consumer's records: the one that it gave to each task, and its lists. Knows no library.

Limit: a task of its own may fetch a record (create_task(getone()), and wait_for() before Python 3.12). The record's
span is active in that task alone and ends with it. `autotrace.carry(record)` reactivates the span in another task.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from autotrace.containment import contained
from autotrace.messaging.consumer import ConsumerProxy, ConsumerState
from autotrace.messaging.consumer_span import PLACE, ConsumerSpan
from autotrace.messaging.place import running_task

if TYPE_CHECKING:
    from asyncio import Task

    from autotrace.messaging.record_adapter import RecordAdapter
    from autotrace.semantics.family import SharedFacts


class AsyncConsumerState(ConsumerState):
    """Kept by the consumer. `consumer_span` serves code that runs outside of any task."""

    __slots__ = ("_task_spans",)

    def __init__(self, adapter: RecordAdapter, shared: SharedFacts) -> None:
        super().__init__(adapter, shared)
        self._task_spans: WeakKeyDictionary[Task[Any], ConsumerSpan] = WeakKeyDictionary()

    def span_here(self) -> ConsumerSpan:
        """The consumer span of the running task; it closes with the task at the latest."""
        task = running_task()
        if task is None:
            return self.consumer_span
        found = self._task_spans.get(task)
        if found is None:
            found = self._task_spans[task] = ConsumerSpan(self.consumer_span.adapter, self.consumer_span.shared)
            _close_with(task, found)
        return found

    def on_record(self, consumer: Any, record: Any) -> Any:
        """The record's span opens, until this task turns to something else."""
        try:
            consumer_span = self.span_here()
            consumer_span.in_for_loop = False
            if consumer_span is self.consumer_span:
                consumer_span.open_in_thread(record)
            else:
                consumer_span.open(record)
        except Exception:
            contained(PLACE)
        return record

    def on_fetch(self) -> None:
        """This task asks for more. The records of other tasks stay open."""
        try:
            self.span_here().close()
            if self._lists:
                self._leave_lists(finish=False)
        except Exception:
            contained(PLACE)

    def on_failure(self) -> None:
        """This task's call raises after its record has come."""
        self.span_here().close()

    def on_commit(self) -> None:
        """This task is done with its record, unless an iterator will notice its end."""
        try:
            consumer_span = self.span_here()
            if not consumer_span.in_for_loop:
                consumer_span.close()
        except Exception:
            contained(PLACE)

    def on_close(self) -> None:
        """This task stops the consumer. Other tasks may still work on their records."""
        try:
            self.span_here().close_in_handler()
            if self._lists:
                self._leave_lists(finish=True)
        except Exception:
            contained(PLACE)


_spans_of_task: WeakKeyDictionary[Task[Any], WeakSet[ConsumerSpan]] = WeakKeyDictionary()
"""A task -> the consumer spans that close with it, of all consumers."""


def _close_with(task: Task[Any], consumer_span: ConsumerSpan) -> None:
    spans = _spans_of_task.get(task)
    if spans is None:
        spans = _spans_of_task[task] = WeakSet()
        # An empty context: the default, a copy of the current one, would keep the active span alive.
        task.add_done_callback(_task_done, context=Context())
    spans.add(consumer_span)


def _task_done(task: Task[Any]) -> None:
    for consumer_span in list(_spans_of_task.pop(task, ())):
        # Not exception(): asyncio would take the exception as retrieved by the program.
        consumer_span.close(getattr(task, "_exception", None))


class AsyncConsumerIterator(ConsumerProxy):
    """`aiter(consumer)`."""

    __slots__ = ()

    def __aiter__(self) -> AsyncConsumerIterator:
        return self

    async def __anext__(self) -> Any:
        record = await self._consumer.__anext__()
        try:
            try:
                consumer_span = self._consumer_span = self._state.span_here()
                consumer_span.in_for_loop = True
                self._active = consumer_span.active
            except Exception:
                contained(PLACE)
        except BaseException:
            self._state.on_failure()
            raise
        return record
