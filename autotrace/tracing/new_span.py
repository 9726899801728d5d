"""New spans without a parent of autotrace's own: in a new trace, under a remote span, under another library's span."""

from __future__ import annotations

import os
from _random import Random
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT
from autotrace.settings import in_force
from autotrace.tracing import forks, sampling
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from opentelemetry.trace import SpanKind

    from autotrace.propagation.context import Remote

# A separate generator, because the program's seeded `random` must draw the same numbers as without autotrace.
_random = Random(int.from_bytes(os.urandom(32), "big"))
bits = _random.getrandbits
forks.in_child(lambda: _random.seed(int.from_bytes(os.urandom(32), "big")))

decide, parent_based = sampling.decision(in_force().sampler, in_force().sampler_arg)
trace_id_bits = 128 if in_force().trace_id_128 else 64


def start_from_parent(parent: Any, family: Any, kind: SpanKind, facts: dict[str, Any], shared: Any) -> Span:
    """A child of `parent`, another library's span; a new trace where `parent` is None or invalid."""
    # `is None` first: isinstance() of an abstract class is slow, and most spans that come here begin a trace.
    known = None if parent is None or not isinstance(parent, trace.Span) else parent.get_span_context()
    if known is None or not known.is_valid:
        trace_id, flags = _new_trace()
        return Span(trace_id, bits(64) or 1, 0, flags, None, kind, family, facts, shared)
    state = known.trace_state.to_header() if known.trace_state else None
    return Span(
        known.trace_id, bits(64) or 1, known.span_id, int(known.trace_flags), state or None, kind, family, facts, shared
    )


def start_from_remote(remote: Remote, family: Any, kind: SpanKind, facts: dict[str, Any], shared: Any) -> Span:
    """A child of the remote span that a carrier names."""
    trace_id, flags = remote.trace_id, remote.flags & (RANDOM | SHORT | DEBUG)
    if not trace_id:  # a decision without ids, or mesh headers alone
        trace_id, fresh = _new_trace()
        flags |= fresh & SHORT
    keep = remote.decision if remote.decision is not None and parent_based else decide(trace_id)
    if keep or flags & DEBUG:
        flags |= SAMPLED
    return Span(trace_id, bits(64) or 1, remote.span_id, flags, remote.trace_state, kind, family, facts, shared)


def _new_trace() -> tuple[int, int]:
    """(trace id, flags)."""
    trace_id = bits(trace_id_bits) or 1
    return trace_id, (SAMPLED if decide(trace_id) else 0) | (SHORT if trace_id_bits == 64 else 0)
