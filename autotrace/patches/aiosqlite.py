"""aiosqlite: carries the task's context to the connection's thread, where sqlite3's patch makes the spans.

So a span lasts as long as its statement runs, without its wait for the thread. If the task is cancelled, both run on.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.patching import Plan, require
from autotrace.tracing import run_in_context


def thread(module: Any, plan: Plan) -> None:
    # Connection._execute(): hands every call of a connection and of its cursors to the thread. No span. The call that
    # opens the file goes another way, just after the thread was started, in the right context.
    plan.method(require(module, "Connection"), "_execute", _execute, parameters=("fn",))


def _execute(original: Any) -> Any:
    # Even an empty context is carried: the thread's own is that of the task that opened the connection.
    async def _execute(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            context = run_in_context.capture_context()
        except Exception:
            contained("aiosqlite._execute")
            return await original(self, fn, *args, **kwargs)
        return await original(self, run_in_context.run_in_context, context, fn, *args, **kwargs)

    return _execute
