"""A call, plain or awaited, with a span around it: our work before and after is contained, the call itself runs exactly once, bare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing.current import enter, get, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.span import Span

    Begun = tuple[Span | None, tuple[Any, ...], dict[str, Any]]

LEAVE_OPEN = object()
"""What `after` returns for a span that ends later (at the broker's answer, at the end of a body)."""


def traced(
    original: Callable[..., Any],
    place: str,
    before: Callable[[tuple[Any, ...], dict[str, Any]], Begun | None],
    after: Callable[[Span, Any], object] | None = None,
) -> Callable[..., Any]:
    """`original` with a span that is current while it runs.

    before(args, kwargs) -> (span, args, kwargs) with which to go on, copies where they differ; or None: no span for this call.
    after(span, result): notes facts while the span is current; LEAVE_OPEN leaves it open. Its result goes nowhere else.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        outer = get()
        span = keep = None
        try:
            try:
                try:
                    begun = before(args, kwargs)
                    if begun is not None:
                        span, args, kwargs = begun
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
                    failed(span, error, place)
                raise
        except BaseException:
            if span is not None:
                put(outer)
            raise
        if keep is not LEAVE_OPEN:
            finish(span, place)
        return result

    return call


def traced_await(
    original: Callable[..., Any],
    place: str,
    before: Callable[[tuple[Any, ...], dict[str, Any]], Begun | None],
    after: Callable[[Span, Any], object] | None = None,
) -> Callable[..., Any]:
    """`original`, a coroutine function, with a span that is current while it is awaited. A cancelled task is an error of the span.

    `before` and `after` are plain functions, with the promises of traced(); they run when the coroutine does.
    """

    async def call(*args: Any, **kwargs: Any) -> Any:
        outer = get()
        span = keep = None
        try:
            try:
                try:
                    begun = before(args, kwargs)
                    if begun is not None:
                        span, args, kwargs = begun
                        if span is not None:
                            enter(span)
                except Exception:
                    contained(place)
                    span = None
                result = await original(*args, **kwargs)
                if span is None:
                    return result
                if after is not None:
                    keep = _noted(after, span, result, place)
                put(outer)
            except BaseException as error:
                if span is not None:
                    put(outer)
                    failed(span, error, place)
                raise
        except BaseException:
            if span is not None:
                put(outer)
            raise
        if keep is not LEAVE_OPEN:
            finish(span, place)
        return result

    return call


def _noted(after: Callable[[Span, Any], object], span: Span, result: Any, place: str) -> object:
    try:
        return after(span, result)
    except Exception:
        contained(place)
        return None


def failed(span: Span, error: BaseException, place: str) -> None:
    """End a span with the exception that the call raised. Never raises."""
    try:
        span.fail(error)
    except Exception:
        contained(place)
    finish(span, place)


def finish(span: Span, place: str) -> None:
    """End a span. Never raises."""
    try:
        span.end()
    except Exception:
        contained(place)


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str, default: Any = None) -> Any:
    """One argument of a call, whichever way it was passed. `position` counts `self`."""
    if len(args) > position:
        return args[position]
    return kwargs.get(name, default)


def with_argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str, value: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Copies of args and kwargs in which one argument has another value, passed the way the caller passed it."""
    if len(args) > position:
        return (*args[:position], value, *args[position + 1 :]), kwargs
    return args, {**kwargs, name: value}
