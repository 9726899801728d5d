"""Greenlets of gevent and eventlet: each works in the context in which it was spawned, until the span of that context
ends.

Nobody waits for a greenlet when the program ends, and many serve every caller, as daemon threads do. A greenlet that
outlives its request begins new traces.
"""

from __future__ import annotations

import contextvars
import sys
from typing import Any

from autotrace.containment import contained
from autotrace.tracing import code_origin, current
from autotrace.tracing.until_ended import UntilEnded, is_ended


def carry(greenlet: Any, library: str) -> None:
    """Give the current context to a greenlet that has not run yet. `library`: the folder of gevent or eventlet. Never
    raises.

    Nothing else of the spawner's context is given, because greenlets do not get it. A context that the program chose
    stays.
    """
    try:
        context = current.get()
        span = context.get(current.SPAN_KEY)
        if span is None or is_ended(span) or greenlet.gr_context is not None:
            return
        if code_origin.of_caller(greenlet, sys._getframe(1), library) != code_origin.STANDARD:
            its = contextvars.Context()
            its.run(current.put, UntilEnded(context))
            greenlet.gr_context = its
    except Exception:
        contained("a greenlet's context")
