"""Carrying the current context to another thread: taken where work is handed over, in force while it runs, gone afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.tracing import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context


def capture_context() -> Context:
    """The context in force here; empty where nothing is traced."""
    context: Context = current.get()
    return context


def run_in_context(context: Context, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """work(*args, **kwargs) under `context`, on this thread."""
    token = current.put(context)
    try:
        return work(*args, **kwargs)
    finally:
        current.leave(token)
