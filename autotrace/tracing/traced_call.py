"""Wrap a function or a coroutine function in a span. The wrapped call runs exactly once, unguarded.

The two wrappers are written out, because a function that they share would cost a call on every operation. An exception
may interrupt them at any instruction (a signal handler's timeout). The second handler restores the context if the first
is struck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing.current import enter, get, leave, put, withdraw

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.span import Span

    SpannedCall = tuple[Span | None, tuple[Any, ...], dict[str, Any]]

LEAVE_OPEN = object()
"""Returned by `after` for a span that ends later, at the broker's acknowledgement or at the end of a body."""


def traced(
    original: Callable[..., Any],
    place: str,
    before: Callable[[tuple[Any, ...], dict[str, Any]], SpannedCall | None],
    after: Callable[[Span, Any], object] | None = None,
) -> Callable[..., Any]:
    """`original` with a span that is active while it runs.

    before(args, kwargs) -> (span, args, kwargs) for the call, copies where they differ; or None: the call gets no span.
    after(span, result) notes facts while the span is active. It returns LEAVE_OPEN if the span ends later.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        outer = get()
        span = keep = None
        try:
            try:
                try:
                    prepared = before(args, kwargs)
                    if prepared is not None:
                        span, args, kwargs = prepared
                        if span is not None:
                            enter(span)
                except Exception:
                    contained(place)
                    span = None
                result = original(*args, **kwargs)
                if span is None:
                    return result
                if after is not None:
                    keep = _noted(after, span, result, place)
                put(outer)
            except BaseException as error:
                if span is not None:
                    put(outer)
                    end_failed(span, error, place)
                raise
        except BaseException:
            if span is not None:
                put(outer)
            raise
        if keep is not LEAVE_OPEN:
            end_span(span, place)
        return result

    return call


def traced_await(
    original: Callable[..., Any],
    place: str,
    before: Callable[[tuple[Any, ...], dict[str, Any]], SpannedCall | None],
    after: Callable[[Span, Any], object] | None = None,
) -> Callable[..., Any]:
    """As traced(), for a coroutine function: the span is active while `original` is awaited. Cancellation is its error.

    `before` and `after` are plain functions. They run when the coroutine runs.
    """

    async def call(*args: Any, **kwargs: Any) -> Any:
        outer = get()
        span = keep = None
        token: Any = None
        try:
            try:
                try:
                    prepared = before(args, kwargs)
                    if prepared is not None:
                        span, args, kwargs = prepared
                        if span is not None:
                            token = enter(span)
                except Exception:
                    contained(place)
                    span = None
                result = await original(*args, **kwargs)
                if span is None:
                    return result
                if after is not None:
                    keep = _noted(after, span, result, place)
                leave(token)
            except BaseException as error:
                if span is not None:
                    withdraw(span, token, outer)
                    end_failed(span, error, place)
                raise
        except BaseException:
            if span is not None:
                withdraw(span, token, outer)
            raise
        if keep is not LEAVE_OPEN:
            end_span(span, place)
        return result

    return call


def _noted(after: Callable[[Span, Any], object], span: Span, result: Any, place: str) -> object:
    try:
        return after(span, result)
    except Exception:
        contained(place)
        return None


def end_failed(span: Span, error: BaseException, place: str) -> None:
    """End a span with the exception that the call raised. Never raises."""
    try:
        span.fail(error)
    except Exception:
        contained(place)
    end_span(span, place)


def end_span(span: Span, place: str) -> None:
    """End a span. Never raises."""
    try:
        span.end()
    except Exception:
        contained(place)


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str, default: Any = None) -> Any:
    """One argument of a call, passed by position or by name. `position` counts `self`."""
    if len(args) > position:
        return args[position]
    return kwargs.get(name, default)


def with_argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str, value: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Copies of args and kwargs with another value for one argument, passed as the caller passed it."""
    if len(args) > position:
        return (*args[:position], value, *args[position + 1 :]), kwargs
    return args, {**kwargs, name: value}
