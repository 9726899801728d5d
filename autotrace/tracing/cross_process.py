"""Send the current context to another process along with work. Its pickle needs only this package on sys.path there.

If autotrace is not active in that process, the work runs as without it. Importing this file imports nothing heavy.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context

    SerializedContext = tuple[int, int, int, str | None, dict[str, str], tuple[tuple[str, str], ...]]


def serialize() -> SerializedContext | None:
    """(trace id, span id, flags, tracestate, baggage, mesh headers) of the context; None without an active span."""
    from opentelemetry import baggage
    from opentelemetry.trace import get_current_span

    from autotrace.tracing.current import FORWARD_KEY, get

    context = get()
    if not context:
        return None
    span: Any = get_current_span(context)
    known = span.get_span_context()
    if not known.is_valid:
        return None
    state = known.trace_state.to_header() if known.trace_state else None
    carried = {name: value for name, value in baggage.get_all(context).items() if isinstance(value, str)}
    flags = int(getattr(span, "flags", known.trace_flags))
    return known.trace_id, known.span_id, flags, state, carried, context.get(FORWARD_KEY, ())


def run_in_serialized_context(
    serialized: SerializedContext, work: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """work(*args, **kwargs), in the context that another process serialized."""
    context = _deserialized(serialized)
    if context is None:
        return work(*args, **kwargs)
    from autotrace.tracing.run_in_context import run_in_context

    return run_in_context(context, work, *args, **kwargs)


def _deserialized(serialized: SerializedContext) -> Context | None:
    """None if autotrace is not active in this process. Never raises."""
    activation: Any = sys.modules.get("autotrace.activation")
    if activation is None or activation.watcher is None:
        return None
    try:
        return _context(*serialized) if activation.start_tracing() else None
    except Exception:
        activation.containment.contained("work from another process")
        return None


def _context(trace_id: int, span_id: int, flags: int, state: str | None, carried: Any, forwarded: Any) -> Context:
    from opentelemetry import baggage
    from opentelemetry.context.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    from autotrace.tracing.current import FORWARD_KEY

    trace_state = TraceState.from_header([state]) if state else None
    remote = SpanContext(trace_id, span_id, True, TraceFlags(flags), trace_state)
    context: Context = set_span_in_context(NonRecordingSpan(remote), Context())
    for name, value in carried.items():
        context = baggage.set_baggage(name, value, context)
    if forwarded:
        dict.__setitem__(context, FORWARD_KEY, forwarded)  # allowed, because nobody else holds this Context yet
    return context
