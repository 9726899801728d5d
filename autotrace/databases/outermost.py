"""One span for a method that calls other traced methods of the same object. Knows no driver.

outermost() wraps the method, unless_nested() reads the methods that it calls: they make no span while it runs.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from autotrace.databases.traced_methods import itself

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from autotrace.databases.driver import Make
    from autotrace.databases.statement_arguments import Args, Facts, Kwargs, Read
    from autotrace.databases.traced_methods import ReadMethod

_running: ContextVar[Any] = ContextVar("autotrace-outermost", default=None)
"""The object whose traced method is running. Methods that it calls on itself make no span."""


def outermost(make: Make, of: Callable[[Any], Any] = itself) -> Make:
    """make(), for a method that calls others of the same object: while it runs, those of unless_nested() make no span.

    of(self) -> the object, if it is not `self`.
    """

    def making(original: Any) -> Any:
        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            token = _running.set(of(self))
            try:
                return original(self, *args, **kwargs)
            finally:
                _reset(token)

        return make(update_wrapper(call, original))

    return making


def outermost_coroutine(make: Make, of: Callable[[Any], Any] = itself) -> Make:
    """outermost() for an `async def`."""

    def making(original: Any) -> Any:
        async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            token = _running.set(of(self))
            try:
                return await original(self, *args, **kwargs)
            finally:
                _reset(token)

        return make(update_wrapper(call, original))

    return making


def _reset(token: Token[Any]) -> None:
    try:
        _running.reset(token)
    except ValueError:  # a coroutine that was thrown away, and closed in another context
        pass


def unless_nested(read: Read, of: Callable[[Any], Any] = itself) -> ReadMethod:
    """A reader of statement_arguments.py, for a method that an outermost() method of the same object may call."""

    def reading(self: Any, args: Args, kwargs: Kwargs) -> Facts | None:
        running = _running.get()
        return None if running is not None and running is of(self) else read(args, kwargs)

    return reading
