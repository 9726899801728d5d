"""Wrap a function or a coroutine function in a span. The wrapped call runs exactly once, unguarded.

The two wrappers are written out, because a function that they share would cost a call on every operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing.current import enter, leave

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
        span = token = None
        try:
            prepared = before(args, kwargs)
            if prepared is not None:
                span, args, kwargs = prepared
                if span is not None:
                    token = enter(span)
        except Exception:
            contained(place)
        if span is None or token is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            end_failed(span, error, place)
            leave(token)
            raise
        keep = None
        if after is not None:
            try:
                keep = after(span, result)
            except Exception:
                contained(place)
        leave(token)
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
        span = token = None
        try:
            prepared = before(args, kwargs)
            if prepared is not None:
                span, args, kwargs = prepared
                if span is not None:
                    token = enter(span)
        except Exception:
            contained(place)
        if span is None or token is None:
            return await original(*args, **kwargs)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            end_failed(span, error, place)
            leave(token)
            raise
        keep = None
        if after is not None:
            try:
                keep = after(span, result)
            except Exception:
                contained(place)
        leave(token)
        if keep is not LEAVE_OPEN:
            end_span(span, place)
        return result

    return call


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
