"""Whose context the current one is: the running asyncio task's, else the thread's. Imports no asyncio where the program has not."""

from __future__ import annotations

import sys
from _thread import get_ident
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from asyncio import Task
    from contextvars import Context

_modules = sys.modules
_running_loop: Any = None
"""asyncio's own function, once the program has imported asyncio."""


def running_task() -> Task[Any] | None:
    """The asyncio task that runs this; None in callbacks of a loop, and without one."""
    global _running_loop
    if _running_loop is None:
        _running_loop = getattr(_modules.get("asyncio"), "_get_running_loop", None)
    if _running_loop is None or _running_loop() is None:
        return None
    task: Task[Any] | None = _modules["asyncio"].current_task()
    return task


def here() -> object:
    """Equal for two calls within one task, or outside of tasks within one thread. Keeps no task alive."""
    task = running_task()
    return get_ident() if task is None else ref(task)


def context_of(place: object) -> Context | None:
    """The execution context of a task that waits, to work in for a moment. None for threads, and before Python 3.12."""
    task: Any = place() if isinstance(place, ref) else None
    get_context = getattr(task, "get_context", None)
    return None if get_context is None or task.done() else get_context()
