"""A coroutine function with a span around it: as around.traced, for what is awaited. Current in the awaiting task only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing.around import KEEP, failed, finish
from autotrace.tracing.current import enter, leave

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.around import Begun
    from autotrace.tracing.span import Span


def traced_await(
    original: Callable[..., Any],
    place: str,
    before: Callable[[tuple[Any, ...], dict[str, Any]], Begun | None],
    after: Callable[[Span, Any], object] | None = None,
) -> Callable[..., Any]:
    """`original`, a coroutine function, with a span that is current while it is awaited. A cancelled task is an error of the span.

    `before` and `after` are plain functions, with the promises of around.traced; they run when the coroutine does.
    """

    async def call(*args: Any, **kwargs: Any) -> Any:
        span = token = None
        try:
            begun = before(args, kwargs)
            if begun is not None:
                span, args, kwargs = begun
                if span is not None:
                    token = enter(span)
        except Exception:
            contained(place)
        if span is None or token is None:
            return await original(*args, **kwargs)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            failed(span, error, place)
            leave(token)
            raise
        keep = None
        if after is not None:
            try:
                keep = after(span, result)
            except Exception:
                contained(place)
        leave(token)
        if keep is not KEEP:
            finish(span, place)
        return result

    return call
