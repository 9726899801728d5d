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


# Twins but for `await`. Two handlers, because an exception may strike within the first: tracing/traced_call.py.


def outermost(make: Make, of: Callable[[Any], Any] = itself) -> Make:
    """make(), for a method that calls others of the same object: while it runs, those of unless_nested() make no span.

    of(self) -> the object, if it is not `self`.
    """

    def making(original: Any) -> Any:
        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            before, it = _running.get(), of(self)
            token: Any = None
            try:
                try:
                    token = _running.set(it)
                    result = original(self, *args, **kwargs)
                    _restore(token, it, before)
                except BaseException:
                    _restore(token, it, before)
                    raise
            except BaseException:
                _restore(token, it, before)
                raise
            return result

        return make(update_wrapper(call, original))

    return making


def outermost_coroutine(make: Make, of: Callable[[Any], Any] = itself) -> Make:
    """outermost() for an `async def`."""

    def making(original: Any) -> Any:
        async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            before, it = _running.get(), of(self)
            token: Any = None
            try:
                try:
                    token = _running.set(it)
                    result = await original(self, *args, **kwargs)
                    _restore(token, it, before)
                except BaseException:
                    _restore(token, it, before)
                    raise
            except BaseException:
                _restore(token, it, before)
                raise
            return result

        return make(update_wrapper(call, original))

    return making


def _restore(token: Token[Any] | None, it: Any, before: Any) -> None:
    """What ran before `it` runs again. May be called twice, and before set() has returned its token."""
    try:
        if token is not None:
            _running.reset(token)
        elif _running.get() is it:
            _running.set(before)
    except (ValueError, RuntimeError):  # a coroutine that was thrown away, and closed in another context; done already
        pass


def unless_nested(read: Read, of: Callable[[Any], Any] = itself) -> ReadMethod:
    """A reader of statement_arguments.py, for a method that an outermost() method of the same object may call."""

    def reading(self: Any, args: Args, kwargs: Kwargs) -> Facts | None:
        running = _running.get()
        return None if running is not None and running is of(self) else read(args, kwargs)

    return reading
