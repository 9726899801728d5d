"""Jaeger's own format: `uber-trace-id: {trace}:{span}:{parent}:{flags}` in hex, and `uberctx-{key}` baggage.

Carriers know no case, so baggage keys are read in lower case. The parent's id, deprecated, is written but not used.
Source: jaegertracing.io, "Client libraries", "Propagation format".
"""

from __future__ import annotations

from .context import DEBUG, OWS, SAMPLED, SHORT, identify, is_hex
from .w3c import MAX_BAGGAGE_BYTES, MAX_BAGGAGE_ITEMS, is_token, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .context import Get, Headers, Remote, SpanContext

names = ("uber-trace-id",)
prefix = "uberctx-"

_WIRE_SAMPLED = 1
_WIRE_DEBUG = 2


def extract(get: Get) -> Remote | None:
    """The ids, padded on the left, and the decision; None if malformed. Debug alone is an accept too."""
    text = get("uber-trace-id")
    if text is None:
        return None
    text = text.strip(OWS).lower()
    if "%" in text:  # the Java and Go clients percent-encode the value, in which only the colons need it
        text = text.replace("%3a", ":")
    parts = text.split(":", 4)
    if len(parts) != 4:
        return None
    trace, span, parent, flags = parts
    if not (0 < len(trace) <= 32 and 0 < len(span) <= 16 and len(parent) <= 16 and 0 < len(flags) <= 2):
        return None
    if not is_hex(flags) or (parent and not is_hex(parent)):
        return None
    bits = int(flags, 16)
    if bits & _WIRE_DEBUG:
        return identify(trace, span, (True, SAMPLED | DEBUG))
    return identify(trace, span, (True, SAMPLED) if bits & _WIRE_SAMPLED else (False, 0))


def uber_trace_id(span: SpanContext, trace: str, own: str, parent_id: int) -> Headers:
    """The header `uber-trace-id`; parameters as of b3.multi(). A root's parent is `0`."""
    flags = span.flags
    if flags & SHORT:
        trace = trace[16:]
    bits = _WIRE_SAMPLED | _WIRE_DEBUG if flags & DEBUG else flags & SAMPLED
    return [("uber-trace-id", f"{trace}:{own}:{parent_id:x}:{bits:x}")]


def read_baggage(get: Get, present: Iterable[str]) -> dict[str, str] | None:
    """At most 64 items, each value within 8192 bytes, percent-decoded. `present`: the carrier's names in lower case."""
    from urllib.parse import unquote

    found: dict[str, str] = {}
    for name in present:
        if name.startswith(prefix) and is_token(name[len(prefix) :]) and len(found) < MAX_BAGGAGE_ITEMS:
            value = (get(name) or "").strip(OWS)
            if value and len(value) <= MAX_BAGGAGE_BYTES and value.isascii() and value.isprintable():
                found[name[len(prefix) :]] = unquote(value)
    return found or None


def baggage(items: Mapping[str, object]) -> Headers:
    """One `uberctx-` header an item, within W3C baggage's limits. Because of Envoy, an empty value is not sent."""
    headers: Headers = []
    size = 0
    for key, value in quoted(items, ""):
        size += len(key) + len(value)
        if value and size <= MAX_BAGGAGE_BYTES and len(headers) < MAX_BAGGAGE_ITEMS:
            headers.append((prefix + key, value))
    return headers
