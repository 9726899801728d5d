"""How a finished span relates to other spans, as OpenTracing and Jaeger say it: CHILD_OF and FOLLOWS_FROM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from autotrace.tracing.span import Span

CHILD_OF, FOLLOWS_FROM = 0, 1
"""Jaeger's SpanRefType."""

REMOTE_PARENT = (SpanKind.SERVER, SpanKind.CONSUMER)
"""The kinds of spans whose parent, if they have one, belongs to another process. A span does not record that itself."""


def references(span: Span) -> list[tuple[int, int, int]]:
    """(SpanRefType, trace id, span id), each target once.

    Jaeger reads parentSpanId as CHILD_OF, and a reference to the parent replaces that. So a reference to the parent is
    written only if it says FOLLOWS_FROM.
    """
    parent = (span.trace_id, span.parent_id)
    found: dict[tuple[int, int], int] = {}
    for link in span.links or ():
        target = (link.trace_id, link.span_id)
        relation = link.attributes.get("opentracing.ref_type")
        if target == parent:
            if relation == "follows_from":
                found[target] = FOLLOWS_FROM
        else:
            found.setdefault(target, CHILD_OF if relation == "child_of" else FOLLOWS_FROM)
    return [(kind, *target) for target, kind in found.items()]
