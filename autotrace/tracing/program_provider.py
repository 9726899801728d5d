"""Spans through a tracer provider that the program has set: started at once, named and tagged when they end."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from autotrace.containment import contained
from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT
from autotrace.semantics import span_reader
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from autotrace.propagation.context import Remote
    from autotrace.semantics.family import Family, SharedFacts


class ProviderSpan(Span):
    """Collects facts as any Span. The program's calls of OpenTelemetry's API go to `real`, the provider's span."""

    __slots__ = ("_start", "real")

    def __init__(
        self, real: trace.Span, parent_id: int, flags: int, kind: SpanKind, family: Any, facts: Any, shared: Any
    ):
        known = real.get_span_context()
        state = known.trace_state.to_header() if known.trace_state else None
        flags = int(known.trace_flags) | flags & (SHORT | DEBUG)
        super().__init__(known.trace_id, known.span_id, parent_id, flags, state or None, kind, family, facts, shared)
        self.real = real

    def end(self, end_time: int | None = None) -> None:
        if self.end_time is None:
            self.end_time = end_time or 0
            if self.is_inherited:
                return
            try:
                self._describe()
            except Exception:
                contained("a span of the program's tracer provider")
            finally:
                self.real.end(end_time)

    @property
    def start_time(self) -> int:
        return self._start

    @start_time.setter
    def start_time(self, value: int) -> None:
        """Set again if a span is made after its beginning. The API has no word for that, the SDK's span an
        attribute.
        """
        self._start: int = value
        real: Any = getattr(self, "real", None)
        if hasattr(real, "_start_time"):
            real._start_time = value

    def _describe(self) -> None:
        """Give the provider's span its name, tags, status and events."""
        real = self.real
        if not real.is_recording():
            return
        real.update_name(span_reader.name(self))
        real.set_attributes(dict(span_reader.tags(self)))
        kind = span_reader.error_type(self)
        if kind:
            real.set_status(StatusCode.ERROR, span_reader.status_text(self) or kind)
        for name, time, attributes in span_reader.events(self):
            real.add_event(name, attributes, time)

    def link(self, trace_id: int, span_id: int, attributes: Any) -> None:
        add = getattr(self.real, "add_link", None)
        if add is not None:
            add(SpanContext(trace_id, span_id, True), attributes)

    def get_span_context(self) -> SpanContext:
        return self.real.get_span_context()

    def is_recording(self) -> bool:
        return self.real.is_recording()

    def set_attribute(self, key: str, value: Any) -> None:
        self.real.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.real.add_event(name, attributes, timestamp)

    def update_name(self, name: str) -> None:
        self.given_name = name

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.real.set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: Any = None, escaped: bool = False
    ) -> None:
        self.real.record_exception(exception, attributes, timestamp, escaped)


def start(
    provider: trace.TracerProvider,
    family: Family | None,
    kind: SpanKind,
    facts: dict[str, Any],
    shared: SharedFacts | None,
    remote: Remote | None,
) -> Span:
    """A span of the program's provider, in a ProviderSpan that collects its facts."""
    context, parent_id, flags = None, 0, 0
    if remote is not None:
        parent_id, flags = remote.span_id, remote.flags
        context = trace.set_span_in_context(NonRecordingSpan(_context_of(remote)))
    scope = "autotrace" if family is None else f"autotrace.{family.scope}"
    real = _tracer(provider, scope).start_span(scope, context, kind)
    return ProviderSpan(real, parent_id, flags, kind, family, facts, shared)


@lru_cache(maxsize=64)
def _tracer(provider: trace.TracerProvider, scope: str) -> trace.Tracer:
    return provider.get_tracer(scope)


def _context_of(remote: Remote) -> SpanContext:
    if not remote.trace_id:
        return trace.INVALID_SPAN_CONTEXT
    state = TraceState.from_header([remote.trace_state]) if remote.trace_state else None
    sampled = SAMPLED if remote.decision is not False else 0
    return SpanContext(remote.trace_id, remote.span_id, True, TraceFlags(remote.flags & RANDOM | sampled), state)
