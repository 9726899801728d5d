"""Spans as OpenTelemetry's SDK knows them, for its SpanProcessors and exporters; and the exporter `jaeger_thrift` built on one.

The SDK is imported here and nowhere else, when the first span needs it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.status import Status

import autotrace
from autotrace.containment import say
from autotrace.export.jaeger import exporter
from autotrace.export.jaeger.endpoint import Agent, endpoint
from autotrace.export.otel.jaeger_package import new_exporter
from autotrace.export.tag_value import plain
from autotrace.propagation.context import DEBUG, SAMPLED
from autotrace.semantics import span_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.export.resource import Resource
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

_REMOTE_PARENT = (SpanKind.SERVER, SpanKind.CONSUMER)


def to_readable(span: Span, resource: Resource) -> ReadableSpan:
    """A ReadableSpan as the SDK would have made it. Attribute values that OpenTelemetry does not allow become text."""
    return _readable(span, resource, span.get_span_context())


def _readable(span: Span, resource: Resource, context: SpanContext) -> ReadableSpan:
    parent = None
    if span.parent_id:
        # Nobody noted whether the parent was remote; a server's and a consumer's always is, where it has one.
        remote = span.kind in _REMOTE_PARENT
        parent = SpanContext(span.trace_id, span.parent_id, remote, context.trace_flags, context.trace_state)
    return ReadableSpan(
        name=span_reader.name(span),
        context=context,
        parent=parent,
        resource=_resource(resource),
        attributes=_attributes(dict(span_reader.tags(span))),
        events=[_event(*event) for event in span_reader.events(span)],
        links=[
            Link(SpanContext(link.trace_id, link.span_id, True, TraceFlags(SAMPLED)), _attributes(link.attributes))
            for link in span.links or ()
        ],
        kind=span.kind,
        status=_status(span),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=_scope(span),
    )


def _event(name: str, time_ns: int, attributes: Mapping[str, Any]) -> Event:
    # OpenTelemetry's tools look for an event of this name; the OpenTracing fields may be in it beside theirs.
    return Event("exception" if "exception.type" in attributes else name, _attributes(attributes), time_ns)


def _attributes(raw: Mapping[str, Any]) -> Any:
    return BoundedAttributes(attributes={str(key): _allowed(value) for key, value in raw.items() if value is not None})


def _allowed(value: Any) -> Any:
    """OpenTelemetry refuses, with a line in the program's log, what is not one of these."""
    if isinstance(value, (bool, str, bytes, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        kinds = {type(one) for one in value}
        if len(kinds) <= 1 and kinds <= {bool, str, int, float}:
            return tuple(value)
    return str(plain(value))


def _status(span: Span) -> Status:
    kind = span_reader.error_type(span)
    if kind:
        return Status(StatusCode.ERROR, span_reader.status_text(span) or kind)
    return Status(StatusCode.UNSET if span.status is None else span.status[0])


def _scope(span: Span) -> InstrumentationScope:
    if span.family is None:
        return InstrumentationScope(span.scope or "autotrace")
    return InstrumentationScope(f"autotrace.{span.family.scope}", autotrace.__version__)


_made: tuple[Resource, SdkResource] | None = None


def _resource(resource: Resource) -> SdkResource:
    """One SDK Resource for each of ours: its detectors are not asked again."""
    global _made
    made = _made
    if made is None or made[0] is not resource:
        made = _made = (resource, SdkResource({"service.name": resource.service_name, **resource.tags}))
    return made[1]


class JaegerThrift:
    """The exporter `jaeger_thrift`. Its package reports success whatever happens; what it can be asked about is asked here."""

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
        left = deadline - time.monotonic()
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
    """W3C's random flag is Jaeger's debug flag, and the package passes it on as it is."""
    flags = (1 if span.flags & SAMPLED else 0) | (2 if span.flags & DEBUG else 0)
    known = span.get_span_context()
    return _readable(
        span, resource, SpanContext(known.trace_id, known.span_id, False, TraceFlags(flags), known.trace_state)
    )


def make(settings: Settings) -> Any:
    """The exporter `jaeger_thrift`; autotrace's own, which sends the same spans, where its package is not installed."""
    try:
        return JaegerThrift(settings)
    except ImportError as missing:
        say(
            f"AUTOTRACE_EXPORTER=jaeger_thrift: {missing}; `pip install autotrace-agent[jaeger_thrift]` provides it; "
            "the exporter `jaeger` is used"
        )
        return exporter.make(settings)
