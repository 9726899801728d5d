"""eventlet: green threads and jobs of its thread pool work in the context they were spawned in. They make no spans."""

from __future__ import annotations

import os
from typing import Any

from autotrace.containment import contained
from autotrace.patching import Plan, require
from autotrace.tracing import greenlets
from autotrace.tracing.run_in_context import capture_context, run_in_context


def greenthread(module: Any, plan: Plan) -> None:
    folder = os.path.dirname(module.__file__ or "") + os.sep
    # __init__(): spawn(), spawn_after() and GreenPool make one. _spawn_n(): spawn_n() makes a bare greenlet in it. No
    # span.
    plan.method(require(module, "GreenThread"), "__init__", lambda original: _made(original, folder))
    plan.method(module, "_spawn_n", lambda original: _spawn_n(original, folder), parameters=("func",))


def thread_pool(module: Any, plan: Plan) -> None:
    # execute(): Proxy and eventlet's DNS call it too. No span.
    plan.method(module, "execute", _execute, parameters=("meth",))


def _made(original: Any, folder: str) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        greenlets.carry(self, folder)

    return __init__


def _spawn_n(original: Any, folder: str) -> Any:
    def _spawn_n(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        greenlets.carry(made[1], folder)
        return made

    return _spawn_n


def _execute(original: Any) -> Any:
    def execute(*args: Any, **kwargs: Any) -> Any:
        try:
            context = capture_context() if args and callable(args[0]) else None
        except Exception:
            contained("eventlet.tpool.execute")
            context = None
        return original(run_in_context, context, *args, **kwargs) if context else original(*args, **kwargs)

    return execute
