"""What an asyncio consumer has given to the program: one record in each task, and lists of them. Knows no library.

Limit: a record that a task of its own fetches (create_task(getone()), and wait_for() before Python 3.12) is current in that task
alone, and its span ends with it: there `autotrace.carry(record)` takes it up again.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from autotrace.containment import contained
from autotrace.messaging.consumer import Work
from autotrace.messaging.consumer_span import PLACE, Scope
from autotrace.messaging.place import running_task

if TYPE_CHECKING:
    from asyncio import Task

    from autotrace.messaging.consumer_span import Reading
    from autotrace.messaging.record_context import InWork
    from autotrace.semantics.family import SharedFacts


class TaskWork(Work):
    """Kept by the consumer. `scope` serves what runs outside of any task."""

    __slots__ = ("_of_tasks",)

    def __init__(self, reading: Reading, shared: SharedFacts) -> None:
        super().__init__(reading, shared)
        self._of_tasks: WeakKeyDictionary[Task[Any], Scope] = WeakKeyDictionary()

    def here(self) -> Scope:
        """The scope of the running task; it closes with the task at the latest."""
        task = running_task()
        if task is None:
            return self.scope
        found = self._of_tasks.get(task)
        if found is None:
            found = self._of_tasks[task] = Scope(self.scope.reading, self.scope.shared)
            _close_with(task, found)
        return found

    def deliver(self, record: Any) -> None:
        """The record's span opens, until this task turns to something else."""
        try:
            scope = self.here()
            scope.looping = False
            if scope is self.scope:
                scope.deliver(record)
            else:
                scope.open(record)
        except Exception:
            contained(PLACE)

    def turn(self) -> None:
        """This task asks for more. What other tasks have in work goes on."""
        try:
            self.here().close()
            if self._lists:
                self._turn_lists(finish=False)
        except Exception:
            contained(PLACE)

    def committed(self) -> None:
        """This task is done with the record, unless a loop will tell."""
        try:
            scope = self.here()
            if not scope.looping:
                scope.close()
        except Exception:
            contained(PLACE)

    def finish(self) -> None:
        """The consumer is stopped, by this task; others may still work on what they got."""
        try:
            self.here().close_handling()
            if self._lists:
                self._turn_lists(finish=True)
        except Exception:
            contained(PLACE)


_delivering: WeakKeyDictionary[Task[Any], WeakSet[Scope]] = WeakKeyDictionary()
"""A task -> the scopes that close with it."""


def _close_with(task: Task[Any], scope: Scope) -> None:
    scopes = _delivering.get(task)
    if scopes is None:
        scopes = _delivering[task] = WeakSet()
        # In a context of its own: the default is a copy of this one, and would keep alive what is current now.
        task.add_done_callback(_ended, context=Context())
    scopes.add(scope)


def _ended(task: Task[Any]) -> None:
    for scope in list(_delivering.pop(task, ())):
        # Not exception(): that would tell asyncio that somebody has seen it.
        scope.close(getattr(task, "_exception", None))


class TaskLoop:
    """`aiter(consumer)`: still an iterator, to isinstance() and getattr() the consumer itself, but not `is consumer`.

    It alone knows when a loop is left: `break`, `return`, exceptions and cancellation drop it, and that closes the scope.
    """

    __slots__ = ("_consumer", "_scope", "_work", "_works")

    def __init__(self, consumer: Any, works: TaskWork) -> None:
        self._work: InWork | None = None
        self._scope: Scope | None = None
        self._consumer = consumer
        self._works = works

    def __aiter__(self) -> TaskLoop:
        return self

    async def __anext__(self) -> Any:
        record = await self._consumer.__anext__()
        try:
            scope = self._scope = self._works.here()
            scope.looping = True
            self._work = scope.work
        except Exception:
            contained(PLACE)
        return record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._consumer)

    def __del__(self) -> None:
        if self._work is not None and self._scope is not None and self._scope.work is self._work:
            self._scope.close_dropped()
