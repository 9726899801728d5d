"""A span with six facts: start, make current, leave, end. No library around it. Bare: the six facts alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import cycle
from typing import Any

from benchmarks.timed import Work

COUNT = 8000
NEEDS = ()
CALLS = True

STATEMENTS = [f"SELECT name, stock FROM article_{n} WHERE id = ? AND stock > 0" for n in range(16)]


def prepare(count: int) -> Work:
    return Work(one_span())


def one_span() -> Callable[[], object]:
    """A function that makes one span, with autotrace's own parts where it is active."""
    import opentelemetry.trace  # noqa: F401  tracing begins with the first patched library

    statements = cycle(STATEMENTS).__next__
    activation = sys.modules.get("autotrace.activation")
    if activation is None or activation.tracing is not True:

        def bare() -> object:
            return {
                "component": "driver",
                "instance": "shop",
                "user": "app",
                "statement": statements(),
                "rows": 1,
                "remote": ("db.shop", 5432),
            }

        return bare
    return _traced(statements)


def _traced(statements: Callable[[], str]) -> Callable[[], object]:
    from opentelemetry.trace import SpanKind

    from autotrace.semantics.database import family
    from autotrace.tracing.current import enter, leave
    from autotrace.tracing.tracer import start

    postgresql, client = family("postgresql"), SpanKind.CLIENT

    def once() -> None:
        facts = {
            "component": "driver",
            "instance": "shop",
            "user": "app",
            "statement": statements(),
            "rows": 1,
            "remote": ("db.shop", 5432),
        }
        span: Any = start(postgresql, client, facts)
        token = enter(span)
        leave(token)
        span.end()

    return once
