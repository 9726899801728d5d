"""Starting spans: ids, the parent, the sampler; and the OpenTelemetry Tracer and TracerProvider for the program's own code."""

from __future__ import annotations

import os
from _random import Random
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.util._decorator import _agnosticcontextmanager

from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT
from autotrace.tracing import forks, program_provider, sampling
from autotrace.tracing.current import SPAN_KEY, SUPPRESS_KEY, get
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autotrace.propagation.context import Remote
    from autotrace.semantics.family import Family, SharedFacts

# A generator of our own: the program's seeded `random` must draw the numbers it would draw without us.
_random = Random(int.from_bytes(os.urandom(32), "big"))
bits = _random.getrandbits
forks.in_child(lambda: _random.seed(int.from_bytes(os.urandom(32), "big")))

decide: Callable[[int], bool] = sampling._always
parent_based = True
trace_id_bits = 128
consumer_relation = "follows_from"
"""AUTOTRACE_CONSUMER_RELATION; read by record_scope."""


def configure(sampler: str, argument: float, trace_id_128: bool) -> None:
    global decide, parent_based, trace_id_bits
    decide, parent_based = sampling.decision(sampler, argument)
    trace_id_bits = 128 if trace_id_128 else 64


def start(
    family: Family | None,
    kind: SpanKind,
    facts: dict[str, Any],
    shared: SharedFacts | None = None,
    remote: Remote | None = None,
) -> Span | None:
    """A new span, running, not current; a child of `remote` where one is given, else of the current span.

    `facts` and `shared` become the span's: raw values, nothing mutable that the program goes on using.
    None: tracing is suppressed here (the exporter's own traffic).
    """
    context = get()
    if context.get(SUPPRESS_KEY):
        return None
    if trace._TRACER_PROVIDER is not provider:
        theirs = provider_in_force()
        if theirs is not provider and theirs is not beside:
            return program_provider.start(theirs, family, kind, facts, shared, remote)
    if remote is not None:
        return _from_remote(remote, family, kind, facts, shared)
    parent = context.get(SPAN_KEY)
    if type(parent) is Span:
        return Span(
            parent.trace_id,
            bits(64) or 1,
            parent.span_id,
            parent.flags,
            parent.trace_state,
            kind,
            family,
            facts,
            shared,
        )
    return _without_own_parent(parent, family, kind, facts, shared)


def _without_own_parent(parent: Any, family: Any, kind: SpanKind, facts: dict[str, Any], shared: Any) -> Span:
    """A new trace, or a child of another library's span."""
    # `is None` first: isinstance() of an abstract class is not cheap, and most spans of this way begin a trace.
    known = None if parent is None or not isinstance(parent, trace.Span) else parent.get_span_context()
    if known is None or not known.is_valid:
        trace_id, flags = _new_trace()
        return Span(trace_id, bits(64) or 1, 0, flags, None, kind, family, facts, shared)
    state = known.trace_state.to_header() if known.trace_state else None
    return Span(
        known.trace_id, bits(64) or 1, known.span_id, int(known.trace_flags), state or None, kind, family, facts, shared
    )


def _new_trace() -> tuple[int, int]:
    trace_id = bits(trace_id_bits) or 1
    return trace_id, (SAMPLED if decide(trace_id) else 0) | (SHORT if trace_id_bits == 64 else 0)


def _from_remote(remote: Remote, family: Any, kind: SpanKind, facts: dict[str, Any], shared: Any) -> Span:
    trace_id, flags = remote.trace_id, remote.flags & (RANDOM | SHORT | DEBUG)
    if not trace_id:  # a decision without ids, or mesh headers alone
        trace_id, fresh = _new_trace()
        flags |= fresh & SHORT
    keep = remote.decision if remote.decision is not None and parent_based else decide(trace_id)
    if keep or flags & DEBUG:
        flags |= SAMPLED
    return Span(trace_id, bits(64) or 1, remote.span_id, flags, remote.trace_state, kind, family, facts, shared)


class Tracer(trace.Tracer):
    """OpenTelemetry's Tracer over start(). Spans of the program's own provider once it has set one."""

    def __init__(self, name: str, *identity: Any) -> None:
        self.name = name
        self.identity = identity

    def start_span(
        self,
        name: str,
        context: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        if trace._TRACER_PROVIDER is not provider:
            theirs = provider_in_force()
            if theirs is not provider:
                return theirs.get_tracer(self.name, *self.identity).start_span(
                    name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
                )
        span = self._new(context, kind)
        if span is None:
            return trace.INVALID_SPAN
        span.given_name = name
        span.scope = self.name
        if start_time:
            span.start_time = start_time
        if attributes:
            span.set_attributes(attributes)
        for link in links or ():
            span.add_link(link.context, link.attributes)
        return span

    def _new(self, context: Any, kind: SpanKind) -> Span | None:
        if context is None:
            return start(None, kind, {})
        parent = context.get(SPAN_KEY)
        if type(parent) is Span:
            return Span(
                parent.trace_id, bits(64) or 1, parent.span_id, parent.flags, parent.trace_state, kind, None, {}, None
            )
        return _without_own_parent(parent, None, kind, {}, None)

    @_agnosticcontextmanager
    def start_as_current_span(
        self,
        name: str,
        context: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span


class TracerProvider(trace.TracerProvider):
    """What trace.get_tracer_provider() answers until the program sets a provider of its own, which then gets our spans too."""

    def __init__(self) -> None:
        self.flush: Callable[[float], bool] = lambda seconds: True
        self.processors: list[Any] = []

    def get_tracer(self, instrumenting_module_name: str, *identity: Any, **named: Any) -> trace.Tracer:
        version = identity[0] if identity else named.get("instrumenting_library_version")
        return Tracer(instrumenting_module_name, version)

    def add_span_processor(self, span_processor: Any) -> None:
        """An SDK SpanProcessor: its on_end() is called with a ReadableSpan, on the export thread."""
        self.processors.append(span_processor)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """The agent outlives the program's wish to stop tracing: what is queued is sent."""
        self.flush(1.0)


provider = TracerProvider()

beside: trace.TracerProvider | None = None
"""A provider that a framework has made for its own spans. The agent's spans go to the agent's exporter all the same."""


def provider_in_force() -> trace.TracerProvider:
    """The program's own provider where it has set one, else ours."""
    found = trace._TRACER_PROVIDER
    return provider if found is None else found
