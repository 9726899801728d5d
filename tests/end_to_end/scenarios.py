"""Prints for each scenario of a program its value, the statements that the library says it sent, and the spans.

For programs that run bare and traced, each in its own process. A scenario is the child of a span of the program's own.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import get_tracer

library_statements: list[str] = []
"""The statements that the library says it has sent in this scenario; its own hooks append them."""
_spans: list[Any] = []
_outcomes: dict[str, Any] = {}


def begin() -> None:
    """Once, before the first scenario: from here on finished spans are heard of."""
    tracing = sys.modules.get("autotrace.tracing.span")
    if tracing is not None:
        tracing.Span.sink = staticmethod(_spans.append)  # type: ignore[attr-defined]


def scenario(name: str, run: Callable[[], Any]) -> None:
    library_statements.clear()
    _spans.clear()
    with get_tracer("scenarios").start_as_current_span(name) as parent:
        value = run()
    made = [span for span in _spans if span is not parent]
    _outcomes[name] = {
        "value": re.sub(r"0x[0-9a-f]+", "0x…", repr(value)),
        "statements": [one_line(statement) for statement in library_statements],
        "spans": [_read(span, parent) for span in made],
    }


def end() -> None:
    """Print {traced, failures, scenarios} as one line of JSON."""
    containment = sys.modules.get("autotrace.containment")
    failures = {} if containment is None else containment.failures  # type: ignore[attr-defined]
    traced = "autotrace.tracing.span" in sys.modules
    print(json.dumps({"traced": traced, "failures": failures, "scenarios": _outcomes}, default=str))


def _read(span: Any, parent: Any) -> dict[str, Any]:
    statement = span.facts.get("statement", span.name)
    return {
        "statement": one_line(statement.decode() if isinstance(statement, bytes) else str(statement)),
        "child": (span.trace_id, span.parent_id) == (parent.trace_id, parent.span_id),
        "error": span.failure is not None,
        "tags": dict(_reading().tags(span)),
    }


def _reading() -> Any:
    from autotrace.semantics import span_reader

    return span_reader


def one_line(statement: str) -> str:
    """On one line, and with the same name for a savepoint that Django names after a thread."""
    return re.sub(r"\bs\d+_x(\d+)", r"sN_x\1", " ".join(statement.split()))


def refused(error: BaseException) -> str:
    """An exception and what it was made from, by kind and text."""
    kinds = [f"{type(error).__module__}.{type(error).__qualname__}"]
    for inner in (getattr(error, "orig", None), error.__cause__):
        if inner is not None:
            kinds.append(f"{type(inner).__module__}.{type(inner).__qualname__}: {inner}")
    return " <- ".join(kinds)
