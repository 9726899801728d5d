"""A finished span as the ReadableSpan of OpenTelemetry's SDK, for the SDK's SpanProcessors and exporters.

Only this package imports the SDK, and only when the first span needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, StatusCode, TraceFlags
from opentelemetry.trace.status import Status

import autotrace
from autotrace.export.relations import REMOTE_PARENT
from autotrace.export.tag_value import to_tag_value
from autotrace.propagation.context import SAMPLED
from autotrace.semantics import span_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.export.resource import Resource
    from autotrace.tracing.span import Span


def to_readable(span: Span, resource: Resource, context: SpanContext | None = None) -> ReadableSpan:
    """As the SDK would have made it, with the span's own context by default.

    Attribute values that OpenTelemetry does not allow become text.
    """
    context = context or span.get_span_context()
    parent = None
    if span.parent_id:
        remote = span.kind in REMOTE_PARENT
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
    # OpenTelemetry's tools look for an event of this name. OpenTracing's fields may be among its attributes too.
    return Event("exception" if "exception.type" in attributes else name, _attributes(attributes), time_ns)


def _attributes(raw: Mapping[str, Any]) -> Any:
    return BoundedAttributes(attributes={str(key): _allowed(value) for key, value in raw.items() if value is not None})


def _allowed(value: Any) -> Any:
    """OpenTelemetry refuses any other value, with a line in the program's log."""
    if isinstance(value, (bool, str, bytes, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        kinds = {type(one) for one in value}
        if len(kinds) <= 1 and kinds <= {bool, str, int, float}:
            return tuple(value)
    return str(to_tag_value(value))


def _status(span: Span) -> Status:
    kind = span_reader.error_type(span)
    if kind:
        return Status(StatusCode.ERROR, span_reader.status_text(span) or kind)
    return Status(StatusCode.UNSET if span.status is None else span.status[0])


def _scope(span: Span) -> InstrumentationScope:
    if span.family is None:
        return InstrumentationScope(span.scope or "autotrace")
    return InstrumentationScope(f"autotrace.{span.family.scope}", autotrace.__version__)


_last_resource: tuple[Resource, SdkResource] | None = None


def _resource(resource: Resource) -> SdkResource:
    """One SDK Resource for each of the agent's."""
    global _last_resource
    last = _last_resource
    if last is None or last[0] is not resource:
        last = _last_resource = (resource, SdkResource({"service.name": resource.service_name, **resource.tags}))
    return last[1]
