"""What a consumer has given to the program: one record, or lists of them; and what happens when the program turns away. Knows no library."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.batches import Records, recorded
from autotrace.messaging.consumer_span import PLACE, Scope
from autotrace.messaging.record_context import settle
from autotrace.tracing.clock import time_ns

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from autotrace.messaging.batches import Batch
    from autotrace.messaging.consumer_span import Reading
    from autotrace.semantics.family import SharedFacts

    WorkOf: TypeAlias = "Callable[[Any], Work | None]"
    """A consumer -> what it keeps for us; None where it is left alone."""
    Deliver: TypeAlias = Callable[[Any, Any, Any], Any]
    """(work, consumer, what the library returned) -> what the program gets. Never raises."""
    Make: TypeAlias = Callable[[Any], Any]


class Work:
    """Kept by the consumer: when it is collected, the scope closes. No method raises, but for listed()."""

    __slots__ = ("_lists", "scope")

    def __init__(self, reading: Reading, shared: SharedFacts) -> None:
        self.scope = Scope(reading, shared)
        self._lists: list[weakref.ref[Batch]] = []

    def listed(self, records: list[Any], reading: Reading, facts: dict[str, Any]) -> Records:
        """The list, as one that opens each record's scope. `facts`: of the span that those share which nobody iterates."""
        made = recorded(records, reading, self.scope.shared, facts)
        self._lists.append(weakref.ref(made._batch))
        return made

    def turn(self) -> None:
        """The program asks for more: it is done with what it got, unless another thread still works on a list."""
        self._close()
        if self._lists:
            self._turn_lists(finish=False)

    def committed(self) -> None:
        """The program is done with the record, unless a loop will tell."""
        if not self.scope.looping:
            self._close()

    def finish(self) -> None:
        """The consumer is closed: nothing more will tell of the lists."""
        self.scope.close_handling()
        self._close()
        if self._lists:
            self._turn_lists(finish=True)

    def _close(self) -> None:
        if self.scope.work is not None:
            self.scope.close()
            return
        try:  # another thread may have closed the record of this one, and cannot reach what is current here
            settle()
        except Exception:
            contained(PLACE)

    def _turn_lists(self, *, finish: bool) -> None:
        try:
            lists, self._lists = self._lists, []
            for reference in lists:
                batch = reference()
                if batch is not None:
                    batch.turned = time_ns()
                    if finish:
                        batch.finish()
        except Exception:
            contained(PLACE)


def giving(work_of: WorkOf, deliver: Deliver) -> Make:
    """What gives records: the program is done with those before, and what comes is delivered."""

    def make(original: Any) -> Any:
        def give(self: Any, *args: Any, **kwargs: Any) -> Any:
            work = work_of(self)
            if work is None:
                return original(self, *args, **kwargs)
            work.turn()
            return deliver(work, self, original(self, *args, **kwargs))

        return give

    return make


def turning(work_of: WorkOf) -> Make:
    """What says that the program is done with the one record it was given."""

    def make(original: Any) -> Any:
        def turn(self: Any, *args: Any, **kwargs: Any) -> Any:
            work = work_of(self)
            if work is not None:
                work.scope.close()
            return original(self, *args, **kwargs)

        return turn

    return make


def ending(work_of: WorkOf) -> Make:
    """What closes the consumer."""

    def make(original: Any) -> Any:
        def end(self: Any, *args: Any, **kwargs: Any) -> Any:
            work = work_of(self)
            if work is not None:
                work.finish()
            return original(self, *args, **kwargs)

        return end

    return make


def giving_awaited(work_of: WorkOf, deliver: Deliver) -> Make:
    def make(original: Any) -> Any:
        async def give(self: Any, *args: Any, **kwargs: Any) -> Any:
            work = work_of(self)
            if work is None:
                return await original(self, *args, **kwargs)
            work.turn()
            return deliver(work, self, await original(self, *args, **kwargs))

        return give

    return make


def turning_awaited(work_of: WorkOf) -> Make:
    def make(original: Any) -> Any:
        async def turn(self: Any, *args: Any, **kwargs: Any) -> Any:
            work = work_of(self)
            if work is not None:
                work.scope.close()
            return await original(self, *args, **kwargs)

        return turn

    return make


def ending_awaited(work_of: WorkOf) -> Make:
    def make(original: Any) -> Any:
        async def end(self: Any, *args: Any, **kwargs: Any) -> Any:
            work = work_of(self)
            if work is not None:
                work.finish()
            return await original(self, *args, **kwargs)

        return end

    return make
