"""Carry the current context to another thread: captured where work is submitted, current while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.tracing import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context


def capture_context() -> Context:
    """The current context; empty if nothing is traced here."""
    context: Context = current.get()
    return context


def run_in_context(context: Context, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """work(*args, **kwargs) with `context` as the current context, on this thread."""
    token = current.put(context)
    try:
        return work(*args, **kwargs)
    finally:
        current.leave(token)
