"""concurrent.futures: work submitted to a pool runs in the context it was submitted in, in threads and in processes.

Limits: a pool whose processes run another Python (set_executable()) is left alone, because that may lack autotrace.
Of the baggage, only texts reach another process.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.patching import Plan
from autotrace.tracing import cross_process, pool_jobs
from autotrace.tracing.run_in_context import capture_context, run_in_context


def executors(module: Any, plan: Plan) -> None:
    # submit(): map() and asyncio's run_in_executor() call it too, in the thread that submits the work. No span.
    plan.method(module.ThreadPoolExecutor, "submit", _submit)


def processes(module: Any, plan: Plan) -> None:
    # submit(): map() and asyncio's run_in_executor() call it too. No span.
    plan.method(module.ProcessPoolExecutor, "submit", _submit_to_process)


def _submit(original: Any) -> Any:
    def submit(*args: Any, **kwargs: Any) -> Any:
        # (self, fn, /, *args, **kwargs): without a positional fn, the original raises.
        try:
            context = capture_context() if len(args) > 1 and callable(args[1]) else None
        except Exception:
            contained("ThreadPoolExecutor.submit")
            context = None
        if not context:
            runner = pool_jobs.runner
            if runner is None or len(args) < 2 or not callable(args[1]):
                return original(*args, **kwargs)
            return original(args[0], runner, *args[1:], **kwargs)
        return original(args[0], run_in_context, context, *args[1:], **kwargs)

    return submit


def _submit_to_process(original: Any) -> Any:
    def submit(*args: Any, **kwargs: Any) -> Any:
        try:
            serialized = (
                cross_process.serialize() if len(args) > 1 and callable(args[1]) and _has_autotrace(args[0]) else None
            )
        except Exception:
            contained("ProcessPoolExecutor.submit")
            serialized = None
        if serialized is not None:
            args = (args[0], cross_process.run_in_serialized_context, serialized, *args[1:])
        # In an empty context, because a process that is forked here would keep the current one for all its work.
        return run_in_context(Context(), original, *args, **kwargs)

    return submit


def _has_autotrace(executor: Any) -> bool:
    """Will the pool's processes find autotrace? Forked ones do. Others get this sys.path: they need the same Python."""
    context = getattr(executor, "_mp_context", None)
    if context is None:
        return False
    if context.get_start_method() == "fork":
        return True
    spawn: Any = sys.modules.get("multiprocessing.spawn")
    return spawn is not None and os.fsdecode(spawn.get_executable()) == sys.executable
