"""Spans and headers as the tests of this folder make them."""

from __future__ import annotations

from opentelemetry.trace import SpanKind

from autotrace.propagation.context import SAMPLED, Remote
from autotrace.semantics import http
from autotrace.tracing import propagate, tracer
from autotrace.tracing.span import Span


def start(remote: Remote | None = None) -> Span:
    span = tracer.start(http.CLIENT, SpanKind.CLIENT, {"method": "GET"}, None, remote)
    assert span is not None
    return span


def injected(span: Span, host: str = "h") -> dict[str, str]:
    headers: dict[str, str] = {}
    return propagate.injected(headers, span, host, dict)


def remote(flags: int = SAMPLED, decision: bool | None = True, trace_id: int = 0xABC, span_id: int = 0xDEF) -> Remote:
    return Remote(trace_id, span_id, flags, decision, "vendor=1")
