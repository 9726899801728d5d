"""B3, Zipkin's format, as one header (`b3`) and as several (`X-B3-*`), read as Brave reads it: lower-case hex only.

Source: github.com/openzipkin/b3-propagation.
X-B3-ParentSpanId is written but not read: nothing here needs it, and a malformed one must not cost the trace.
"""

from __future__ import annotations

from .context import DEBUG, OWS, SAMPLED, SHORT, Remote, identify, is_hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .context import Get, Headers, SpanContext

names = ("b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags")

canonical = ("X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags")
"""The names as they are written."""

_DEFER: tuple[bool | None, int] = (None, 0)
_DENY: tuple[bool | None, int] = (False, 0)
_ACCEPT: tuple[bool | None, int] = (True, SAMPLED)
_DEBUG: tuple[bool | None, int] = (True, SAMPLED | DEBUG)
_SINGLE = {"0": _DENY, "1": _ACCEPT, "d": _DEBUG}
_SAMPLED = {"0": _DENY, "1": _ACCEPT, "false": _DENY, "true": _ACCEPT}


def extract(get: Get) -> Remote | None:
    """Ids and state, or a state alone (trace_id 0), or None. A valid `b3` wins; a malformed one counts as absent."""
    single = get("b3")
    if single is not None:
        remote = _extract_single(single.strip(OWS))
        if remote is not None:
            return remote
    return _extract_multi(get)


def _extract_single(text: str) -> Remote | None:
    """`{trace}-{span}[-{state}][-{parent}]`, or a state alone."""
    alone = _SINGLE.get(text)
    if alone is not None:
        decision, flags = alone
        return Remote(flags=flags, decision=decision)
    trace, *rest = text.split("-", 4)
    if not rest or len(trace) not in (16, 32):
        return None
    span = rest.pop(0)
    state = _SINGLE[rest.pop(0)] if rest and rest[0] in _SINGLE else _DEFER
    parent = rest.pop(0) if rest else None
    if rest or len(span) != 16 or (parent is not None and not (len(parent) == 16 and is_hex(parent))):
        return None
    return identify(trace, span, state)


def _extract_multi(get: Get) -> Remote | None:
    trace = get("x-b3-traceid")
    sampled = get("x-b3-sampled")
    debug = get("x-b3-flags")
    state = _DEFER
    if sampled is not None:
        given = _SAMPLED.get(sampled.strip(OWS).lower())
        if given is None:  # malformed: the ids of the same writer are not trusted either
            return None
        state = given
    if debug is not None and debug.strip(OWS) == "1":
        state = _DEBUG
    if trace is None:
        return None if state is _DEFER else Remote(flags=state[1], decision=state[0])
    trace = trace.strip(OWS)
    span = (get("x-b3-spanid") or "").strip(OWS)
    if len(trace) not in (16, 32) or len(span) != 16:
        return None
    return identify(trace, span, state)


def multi(span: SpanContext, trace: str, own: str, parent_id: int) -> Headers:
    """The X-B3-* headers. `trace`, `own`: the span's ids as 32 and 16 hex digits. `parent_id` 0 is not written."""
    flags = span.flags
    headers = [
        ("X-B3-TraceId", trace[16:] if flags & SHORT else trace),
        ("X-B3-SpanId", own),
        ("X-B3-Sampled", "1" if flags & SAMPLED else "0"),
    ]
    if parent_id:
        headers.append(("X-B3-ParentSpanId", f"{parent_id:016x}"))
    if flags & DEBUG:  # beside Sampled, because Envoy does not read Flags alone
        headers.append(("X-B3-Flags", "1"))
    return headers


def single(span: SpanContext, trace: str, own: str, parent_id: int) -> Headers:
    """The header `b3`; parameters as of multi()."""
    flags = span.flags
    if flags & SHORT:
        trace = trace[16:]
    state = "d" if flags & DEBUG else "1" if flags & SAMPLED else "0"
    return [("b3", f"{trace}-{own}-{state}-{parent_id:016x}" if parent_id else f"{trace}-{own}-{state}")]
