"""Whose context the current one is: the running asyncio task's, else the thread's.

asyncio is not imported before the program imports it.
"""

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
    """The asyncio task that runs this code; None in callbacks of a loop, and without a loop."""
    global _running_loop
    if _running_loop is None:
        _running_loop = getattr(_modules.get("asyncio"), "_get_running_loop", None)
    if _running_loop is None or _running_loop() is None:
        return None
    task: Task[Any] | None = _modules["asyncio"].current_task()
    return task


def here() -> object:
    """The current place: equal for all calls in one task, or in one thread outside of tasks. Keeps no task alive."""
    task = running_task()
    return get_ident() if task is None else ref(task)


def context_of(place: object) -> Context | None:
    """The execution context of a waiting task, to run something in. None for a thread, and before Python 3.12."""
    task: Any = place() if isinstance(place, ref) else None
    get_context = getattr(task, "get_context", None)
    return None if get_context is None or task.done() else get_context()
