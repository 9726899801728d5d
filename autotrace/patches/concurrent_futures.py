"""concurrent.futures: work submitted to a pool runs in the context it was submitted in, in threads and in processes.

Limit: a pool whose processes run another Python (set_executable()) is left alone: it may lack autotrace. Of baggage, texts travel.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.patching import Plan
from autotrace.tracing import cross_process, run_in_context


def executors(module: Any, plan: Plan) -> None:
    # submit(): every way in (map, asyncio's run_in_executor) goes through it, in the thread that hands the work over. No span.
    plan.method(module.ThreadPoolExecutor, "submit", _submit)


def processes(module: Any, plan: Plan) -> None:
    # submit(): every way in (map, asyncio's run_in_executor) goes through it. No span.
    plan.method(module.ProcessPoolExecutor, "submit", _submit_over)


def _submit(original: Any) -> Any:
    def submit(*args: Any, **kwargs: Any) -> Any:
        # (self, fn, /, *args, **kwargs): without a positional fn the call is wrong, and the original says so.
        try:
            context = run_in_context.capture_context() if len(args) > 1 and callable(args[1]) else None
        except Exception:
            contained("ThreadPoolExecutor.submit")
            context = None
        if not context:
            return original(*args, **kwargs)
        return original(args[0], run_in_context.run_in_context, context, *args[1:], **kwargs)

    return submit


def _submit_over(original: Any) -> Any:
    def submit(*args: Any, **kwargs: Any) -> Any:
        try:
            serialized = (
                cross_process.serialize() if len(args) > 1 and callable(args[1]) and _reaches(args[0]) else None
            )
        except Exception:
            contained("ProcessPoolExecutor.submit")
            serialized = None
        if serialized is not None:
            args = (args[0], cross_process.run_in_context, serialized, *args[1:])
        # A process that is forked here would stay in the context of this very moment.
        return run_in_context.run_in_context(Context(), original, *args, **kwargs)

    return submit


def _reaches(executor: Any) -> bool:
    """Will the processes find autotrace? Forked ones have it; others get our sys.path, which helps where they run our Python."""
    context = getattr(executor, "_mp_context", None)
    if context is None:
        return False
    if context.get_start_method() == "fork":
        return True
    spawn: Any = sys.modules.get("multiprocessing.spawn")
    return spawn is not None and os.fsdecode(spawn.get_executable()) == sys.executable
