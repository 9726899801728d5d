"""aiosqlite: carries the task's context to the connection's thread, where sqlite3's patch makes the spans. Makes none of its own.

So a span lasts as long as the statement runs, without its wait for the thread; and a cancelled task's runs on, as the statement does.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.patching import Plan, require
from autotrace.tracing import run_in_context


def thread(module: Any, plan: Plan) -> None:
    # Connection._execute(): hands every call of a connection and of its cursors over to the thread. What opens the file is
    # handed over otherwise, just after the thread was started in the very context that it needs.
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
