"""start(): a new span under the active one; and OpenTelemetry's Tracer and TracerProvider over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.util._decorator import _agnosticcontextmanager

from autotrace.containment import contained
from autotrace.propagation.context import SAMPLED
from autotrace.settings import in_force, names_tracer_provider
from autotrace.tracing import program_provider
from autotrace.tracing.current import SPAN_KEY, SUPPRESS_KEY, get
from autotrace.tracing.kept import kept
from autotrace.tracing.manual_arguments import moment, text_of
from autotrace.tracing.new_span import bits, start_from_parent, start_from_remote
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autotrace.propagation.context import Remote
    from autotrace.semantics.family import Family, SharedFacts

consumer_relation = in_force().consumer_relation


def start(
    family: Family | None,
    kind: SpanKind,
    facts: dict[str, Any],
    shared: SharedFacts | None = None,
    remote: Remote | None = None,
) -> Span | None:
    """A new span, started but not yet active: a child of `remote` where one is given, else of the active span.

    `facts` and `shared` become the span's own: raw values, and nothing mutable that the program goes on using.
    None: tracing is suppressed here, as around the exporter's own traffic.
    """
    context = get()
    if context.get(SUPPRESS_KEY):
        return None
    if trace._TRACER_PROVIDER is not provider:
        other = provider_in_force()
        if other is not provider and other is not beside:
            return program_provider.start(other, family, kind, facts, shared, remote)
    if remote is not None:
        return start_from_remote(remote, family, kind, facts, shared)
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
    return start_from_parent(parent, family, kind, facts, shared)


class Tracer(trace.Tracer):
    """OpenTelemetry's Tracer over start(). Once the program has set a provider of its own, spans are that one's."""

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
            other = provider_in_force()
            if other is not provider:
                return other.get_tracer(self.name, *self.identity).start_span(
                    name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
                )
        span = self._new(context, kind if type(kind) is SpanKind else SpanKind.INTERNAL)
        if span is None:
            return trace.INVALID_SPAN
        span.given_name = kept(name if type(name) is str else text_of(name))
        span.scope = self.name
        if start_time is not None:
            span.start_time = moment(start_time)
        if attributes:
            span.set_attributes(attributes)
        if links and isinstance(links, Sequence):
            for link in links:
                span.add_link(getattr(link, "context", trace.INVALID_SPAN_CONTEXT), getattr(link, "attributes", None))
        if provider.processors:
            on_start(span, context)
        return span

    def _new(self, context: Any, kind: SpanKind) -> Span | None:
        if context is None:
            return start(None, kind, {})
        parent = context.get(SPAN_KEY)
        if type(parent) is Span:
            return Span(
                parent.trace_id, bits(64) or 1, parent.span_id, parent.flags, parent.trace_state, kind, None, {}, None
            )
        return start_from_parent(parent, None, kind, {}, None)

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
    """OpenTelemetry's provider until the program sets its own, which then gets autotrace's spans too."""

    def __init__(self) -> None:
        self.flush: Callable[[float], bool] = lambda seconds: True
        self.processors: list[Any] = []

    def get_tracer(self, instrumenting_module_name: str, *identity: Any, **named: Any) -> trace.Tracer:
        version = identity[0] if identity else named.get("instrumenting_library_version")
        return Tracer(instrumenting_module_name, version)

    def add_span_processor(self, span_processor: Any) -> None:
        """Add an SDK SpanProcessor. Its on_start() gets the span itself; the export thread calls its on_end() with a
        ReadableSpan.
        """
        if not self.processors:
            Span.__init__ = _announcing(Span.__init__)  # type: ignore[method-assign]
        self.processors.append(span_processor)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Send the queued spans. Tracing goes on, because the agent is not the program's to stop."""
        self.flush(1.0)


provider = TracerProvider()

beside: trace.TracerProvider | None = None
"""A provider that a framework has made for its own spans. The agent's spans go to the agent's exporter all the same."""


def on_start(span: Span, context: Any) -> None:
    """Tell the program's span processors of a new span. Each fails for itself."""
    if not span.flags & SAMPLED:
        return
    for processor in list(provider.processors):
        try:
            processor.on_start(span, context)
        except Exception:
            contained(f"the span processor {type(processor).__name__}")


def _announcing(initialize: Any) -> Any:
    """Span.__init__ once there are processors, so that spans cost nothing more without any. Tracer tells of its own
    spans.
    """

    def __init__(self: Span, *args: Any) -> None:
        initialize(self, *args)
        if self.family is not None and type(self) is Span:
            on_start(self, None)

    return __init__


def register() -> None:
    """Make the provider the API's own, unless the program has set one."""
    # Not by set_tracer_provider(): it may be called only once, and the program needs that call. If a variable names a
    # provider, the API loads it when the program first asks.
    if trace._TRACER_PROVIDER is None and not names_tracer_provider():
        trace._TRACER_PROVIDER = provider


def provider_in_force() -> trace.TracerProvider:
    """The provider that the program has set, else autotrace's."""
    found = trace._TRACER_PROVIDER
    return provider if found is None else found
