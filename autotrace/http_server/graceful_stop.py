"""A server that stops gracefully and then dies by the signal itself: the agent sends its spans between the two.

Limit: it waits AUTOTRACE_EXIT_SECONDS at most, as an exit handler would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.settings import in_force
from autotrace.tracing import tracer

if TYPE_CHECKING:
    from collections.abc import Callable


def flush_after(original: Callable[..., Any], place: str, is_last: Callable[[Any], bool]) -> Callable[..., Any]:
    """A server's coroutine function that ends its graceful stop. is_last(server): will a signal end the process now?

    The flush blocks the event loop: between the stop and the signal no other task would run either.
    """

    async def shutdown(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        try:
            if is_last(args[0]):
                tracer.provider.flush(in_force().exit_seconds)
        except Exception:
            contained(place)
        return result

    return shutdown
