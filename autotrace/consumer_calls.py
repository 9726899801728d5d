"""A consumer's methods, plain and awaited: those that give records to the program, those by which it turns away. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from autotrace.consumer_work import Work

    WorkOf: TypeAlias = Callable[[Any], Work | None]
    """A consumer -> what it keeps for us; None where it is left alone."""
    Deliver: TypeAlias = Callable[[Any, Any, Any], Any]
    """(work, consumer, what the library returned) -> what the program gets. Never raises."""
    Make: TypeAlias = Callable[[Any], Any]


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
