"""concurrent.futures: work submitted to a ThreadPoolExecutor runs in the context it was submitted in. Processes are not reached."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.patching import Plan
from autotrace.tracing import carry


def executors(module: Any, plan: Plan) -> None:
    # submit(): every way in (map, asyncio's run_in_executor) goes through it, in the thread that hands the work over. No span.
    plan.method(module.ThreadPoolExecutor, "submit", _submit)


def _submit(original: Any) -> Any:
    def submit(*args: Any, **kwargs: Any) -> Any:
        # (self, fn, /, *args, **kwargs): without a positional fn the call is wrong, and the original says so.
        try:
            context = carry.capture() if len(args) > 1 and callable(args[1]) else None
        except Exception:
            contained("ThreadPoolExecutor.submit")
            context = None
        if not context:
            return original(*args, **kwargs)
        return original(args[0], carry.run, context, *args[1:], **kwargs)

    return submit
