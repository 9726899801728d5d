"""threading: a new thread works in the context that it was started in, for as long as that may be its context.

A thread of the program keeps it to its end. A daemon thread, and one that a library starts, may serve every caller: it
keeps the context until its span has ended. A class of a library with a run() of its own, and the standard library's
pools and servers, get none. A span that has ended is not carried, so that a timer that starts itself again leaves it
behind.
"""

from __future__ import annotations

import sys
from typing import Any

from autotrace.containment import contained
from autotrace.patching import Plan, Unpatchable
from autotrace.tracing import current
from autotrace.tracing.code_origin import LIBRARY, PROGRAM, STANDARD, of_caller, of_class, of_function
from autotrace.tracing.run_in_context import capture_context
from autotrace.tracing.until_ended import UntilEnded, is_ended

SLOT = "_autotrace_context"


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
            span = context.get(current.SPAN_KEY)
            if span is not None and not is_ended(span) and not _serves_every_caller(self):
                self.__dict__[SLOT] = UntilEnded(context) if _may_outlive_its_caller(self) else context
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
    """Is it a worker of a library's own class, or started by the standard library's pools, servers and listeners?"""
    for kind in type(thread).__mro__:
        if "run" in vars(kind):
            if kind.__module__ != "threading" and of_class(kind) != PROGRAM:
                return True
            break
    return of_caller(thread, sys._getframe(1)) == STANDARD


def _may_outlive_its_caller(thread: Any) -> bool:
    """Does nobody wait for it at the exit, or does a library start it or do its work?"""
    target = getattr(thread, "_target", None) or getattr(thread, "function", None)
    return bool(thread.daemon) or of_caller(thread, sys._getframe(1)) == LIBRARY or of_function(target) != PROGRAM
