"""Exporter `jaeger_thrift`: spans through OpenTelemetry's own package opentelemetry-exporter-jaeger-thrift.

Limit: the package reports success in any case. Over HTTP the status is read from it; over UDP losses are not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, TraceFlags

from autotrace.containment import say
from autotrace.export.jaeger import exporter
from autotrace.export.jaeger.endpoint import Agent, endpoint
from autotrace.export.otel.jaeger_package import new_exporter
from autotrace.export.otel.readable_span import to_readable
from autotrace.propagation.context import DEBUG, SAMPLED
from autotrace.tracing.clock import monotonic

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from autotrace.export.resource import Resource
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span


class JaegerThrift:
    def __init__(self, settings: Settings) -> None:
        where = endpoint(settings)
        if isinstance(where, Agent):
            agent = {"agent_host_name": where.host, "agent_port": where.port}
            self._exporter = new_exporter(**agent, udp_split_oversized_batches=True)
        else:
            self._exporter = new_exporter(collector_endpoint=where.url)
        if isinstance(where, Agent) and where.binary:
            say(f"the exporter jaeger_thrift speaks only the compact protocol, which port {where.port} does not take")

    def export(self, spans: list[Span], resource: Resource, deadline: float) -> None:
        readable = [_for_jaeger(span, resource) for span in spans]
        collector = self._exporter._collector_http_client
        if collector is None:
            self._exporter.export(readable)
            return
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError(f"{collector.thrift_url}: no time left")
        collector.http_transport.setTimeout(left * 1000)
        self._exporter.export(readable)
        code = collector.http_transport.code
        if not 200 <= code < 300:
            raise OSError(f"{collector.thrift_url}: {code} {collector.http_transport.message}")

    def close(self) -> None:
        self._exporter.shutdown()


def _for_jaeger(span: Span, resource: Resource) -> ReadableSpan:
    """With Jaeger's flags: the package passes flags on unchanged, and W3C's random flag is Jaeger's debug flag."""
    flags = (1 if span.flags & SAMPLED else 0) | (2 if span.flags & DEBUG else 0)
    own = span.get_span_context()
    return to_readable(
        span, resource, SpanContext(own.trace_id, own.span_id, False, TraceFlags(flags), own.trace_state)
    )


def make(settings: Settings) -> Any:
    """If the package is not installed, this is the exporter `jaeger`, which sends the same spans."""
    try:
        return JaegerThrift(settings)
    except ImportError as missing:
        say(
            f"AUTOTRACE_EXPORTER=jaeger_thrift: {missing}; `pip install autotrace-agent[jaeger_thrift]` provides it; "
            "the exporter `jaeger` is used"
        )
        return exporter.make(settings)
