"""The methods of a consumer, wrapped: fetching, iterating, releasing a record, closing. Knows no library.

`state_of`: consumer -> its ConsumerState, None if its calls are left alone. `awaited`: the method is a coroutine
function.
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from autotrace.messaging.consumer import ConsumerProxy, ConsumerState

    StateOf: TypeAlias = Callable[[Any], ConsumerState | None]
    Deliver: TypeAlias = Callable[[Any, Any, Any], Any]
    """(state, consumer, what the library returned) -> what the program gets. Never raises."""
    Make: TypeAlias = Callable[[Any], Any]


def wrap_fetch(state_of: StateOf, deliver: Deliver, *, awaited: bool = False) -> Make:
    """A method that gives records: the program is done with the last ones, and the new ones are delivered."""

    def make(original: Any) -> Any:
        def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
            state = state_of(self)
            if state is None:
                return original(self, *args, **kwargs)
            try:
                state.on_fetch()
                return deliver(state, self, original(self, *args, **kwargs))
            except BaseException:
                state.on_failure()
                raise

        # Written out, because a description that both share would cost each fetch a call.
        async def fetch_awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
            state = state_of(self)
            if state is None:
                return await original(self, *args, **kwargs)
            state.on_fetch()
            fetched = await original(self, *args, **kwargs)
            try:  # not around `await`: whoever drops a waiting coroutine runs its handlers, perhaps in another task
                return deliver(state, self, fetched)
            except BaseException:
                state.on_failure()
                raise

        return fetch_awaited if awaited else fetch

    return make


def wrap_iter(state_of: StateOf, kind: type[ConsumerProxy]) -> Make:
    """`__iter__` or `__aiter__`. `kind`: the iterator that the program gets instead of the consumer itself."""

    def make(original: Any) -> Any:
        def iterate(self: Any) -> Any:
            result = original(self)
            state = state_of(self)
            return kind(self, state) if result is self and state is not None else result

        return iterate

    return make


def wrap_release(state_of: StateOf, *, awaited: bool = False) -> Make:
    """A method by which the program says that it is done with the record it was given."""
    return _reacting(state_of, methodcaller("on_commit"), awaited)


def wrap_close(state_of: StateOf, *, awaited: bool = False) -> Make:
    """A method that closes the consumer."""
    return _reacting(state_of, methodcaller("on_close"), awaited)


def _reacting(state_of: StateOf, react: Callable[[Any], object], awaited: bool) -> Make:
    def make(original: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            state = state_of(self)
            if state is not None:
                react(state)
            return original(self, *args, **kwargs)

        async def call_awaited(*args: Any, **kwargs: Any) -> Any:
            return await call(*args, **kwargs)

        return call_awaited if awaited else call

    return make
