"""Reading received spans: which one a span is, which is its parent, and how the two are related."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from test_services.jaeger_thrift import ReceivedSpan


def identity(span: ReceivedSpan) -> tuple[str, str, str]:
    """(service, target, kind). The target: a statement, a topic, a path, in either convention; else the span's name."""
    tags = span.tags
    url = tags.get("http.url") or tags.get("url.full") or tags.get("url.path")
    topic = tags.get("message_bus.destination") or tags.get("messaging.destination.name")
    target = (
        tags.get("db.statement") or tags.get("db.query.text") or topic or (urlsplit(url).path if url else span.name)
    )
    return span.service, str(target), str(tags.get("span.kind", "internal"))


def parent_of(span: ReceivedSpan, spans: Sequence[ReceivedSpan]) -> ReceivedSpan | None:
    """None for a root, and where the parent was not received."""
    found = (other for other in spans if (other.trace_id, other.span_id) == (span.trace_id, span.parent_id))
    return next(found, None) if span.parent_id else None


def relation(span: ReceivedSpan) -> str:
    """parentSpanId reads as CHILD_OF, unless a reference to that same span says FOLLOWS_FROM."""
    to_parent = [kind for kind, *target in span.references if target == [span.trace_id, span.parent_id]]
    return to_parent[-1] if to_parent else "CHILD_OF"
