"""multiprocessing.pool: a function given to a pool runs in the context in which it was given, in threads (ThreadPool)
and processes (Pool).

Limits: a pool whose processes run another Python (set_executable()) is left alone, because it may lack autotrace. The
iterable of imap() is read by a thread of the pool, in no context. Of baggage, only text travels between processes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.patching import Plan
from autotrace.tracing import cross_process, pool_jobs, run_in_context
from autotrace.tracing.traced_call import argument, with_argument


def pools(module: Any, plan: Plan) -> None:
    Pool, ThreadPool = module.Pool, module.ThreadPool
    # __init__(): starts the workers, which serve every later caller: they must not stay in the span of this moment. No
    # span.
    plan.method(Pool, "__init__", _without_context)
    # apply_async(), _map_async(), imap(), imap_unordered(): all other ways in end in one of them. No span.
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        plan.method(Pool, name, lambda original: _giving(original, ThreadPool), parameters=("func",))


def _without_context(original: Any) -> Any:
    def __init__(*args: Any, **kwargs: Any) -> None:
        run_in_context.run_in_context(Context(), original, *args, **kwargs)

    return __init__


def _giving(original: Any, ThreadPool: type) -> Any:
    def give(*args: Any, **kwargs: Any) -> Any:
        try:
            function = argument(args, kwargs, 1, "func")
            carried = _carrying(args[0], function, ThreadPool) if callable(function) else None
            if carried is not None:
                args, kwargs = with_argument(args, kwargs, 1, "func", carried)
        except Exception:
            contained("multiprocessing.pool")
        return original(*args, **kwargs)

    return give


def _carrying(pool: Any, function: Any, ThreadPool: type) -> Any:
    """`function` as one that runs in the current context; None where nothing is current, or where it cannot
    be carried.
    """
    if isinstance(pool, ThreadPool):
        context = run_in_context.capture_context()
        if not context:
            return None if pool_jobs.runner is None else partial(pool_jobs.runner, function)
        return partial(run_in_context.run_in_context, context, function)
    serialized = cross_process.serialize() if cross_process.reaches(pool, "_ctx") else None
    return None if serialized is None else partial(cross_process.run_in_serialized_context, serialized, function)
