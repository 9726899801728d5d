"""Carry the current context to another thread: captured where work is submitted, current while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing import current, pool_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context


def capture_context() -> Context:
    """The current context; empty if nothing is traced here."""
    context: Context = current.get()
    return context


def run_in_context(context: Context, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """work(*args, **kwargs) with `context` as the current context, on this thread.

    An exception may interrupt this at any instruction. The second handler restores the context if the first is struck.
    """
    outer = current.get()
    try:
        try:
            current.put(context)
            return work(*args, **kwargs)
        finally:
            current.put(outer)
    except BaseException:
        current.put(outer)
        raise


def submitting(original: Callable[..., Any], place: str) -> Callable[..., Any]:
    """`original`, a pool's (self, function, /, *args, **kwargs), whose function runs in the context in which it was
    given.
    """

    def submit(*args: Any, **kwargs: Any) -> Any:
        # Without a function by position, the original raises.
        try:
            context = capture_context() if len(args) > 1 and callable(args[1]) else None
        except Exception:
            contained(place)
            context = None
        if context:
            return original(args[0], run_in_context, context, *args[1:], **kwargs)
        runner = pool_jobs.runner
        if runner is None or len(args) < 2 or not callable(args[1]):
            return original(*args, **kwargs)
        return original(args[0], runner, *args[1:], **kwargs)

    return submit
