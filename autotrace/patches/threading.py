"""threading: a new thread works in the context that it was started in, unless it is a thread of a pool or a client."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.patching import Plan, Unpatchable
from autotrace.tracing import current
from autotrace.tracing.run_in_context import capture_context

SLOT = "_autotrace_context"

# Top-level packages whose threads serve every caller, not only the one in whose span they happened to start.
_OWNERS = frozenset(
    (
        "concurrent",
        "kafka",
        "confluent_kafka",
        "multiprocessing",
        "logging",
        "socketserver",
        "asyncio",
        "apscheduler",
        "psycopg_pool",
        "autotrace",
    )
)


def threads(module: Any, plan: Plan) -> None:
    # start(): the only call that the starting thread makes. _bootstrap_inner(): the first call of the new thread, also
    # if a class of the program overrides run(). No span, because a thread is no operation of its own.
    Thread = module.Thread
    if not hasattr(Thread, "_bootstrap_inner"):
        raise Unpatchable("threading.Thread has no _bootstrap_inner")
    plan.method(Thread, "start", _start)
    plan.method(Thread, "_bootstrap_inner", _bootstrap_inner)


def _start(original: Any) -> Any:
    def start(self: Any) -> Any:
        try:
            context = capture_context()
            if context.get(current.SPAN_KEY) is not None and not _serves_every_caller(self):
                self.__dict__[SLOT] = context
        except Exception:
            contained("threading.Thread.start")
        return original(self)

    return start


def _bootstrap_inner(original: Any) -> Any:
    def _bootstrap_inner(self: Any) -> Any:
        context = self.__dict__.pop(SLOT, None)
        if context is not None:
            current.put(context)  # never reset, because the thread's execution context ends with the thread
        return original(self)

    return _bootstrap_inner


def _serves_every_caller(thread: Any) -> bool:
    kind = type(thread)
    target = getattr(thread, "_target", None)
    modules = (kind.__module__, getattr(target, "__module__", None) or "")
    return any(name.partition(".")[0] in _OWNERS for name in modules)
