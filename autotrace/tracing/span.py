"""Span: slotted, an opentelemetry.trace.Span, holding raw facts. The exporter makes its name and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from autotrace.propagation.context import SAMPLED
from autotrace.semantics import span_reader
from autotrace.tracing import clock, forks, kept
from autotrace.tracing.failure import Failure, failure_of
from autotrace.tracing.manual_arguments import attributes_of, moment, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.trace.status import Status

    from autotrace.semantics.family import Family, SharedFacts

now = clock.time_ns
EVENTS, LINKS, ATTRIBUTES = 128, 128, 128
"""Limits of a span, OpenTelemetry's defaults. Everything beyond them is counted in `dropped`."""
_generation = 0
"""Counts the forks that led to this process: a span that a child inherits is ended by the parent alone."""


def _forked() -> None:
    global _generation
    _generation += 1


forks.in_child(_forked)


class Event(NamedTuple):
    name: str
    time: int
    """ns since the epoch"""
    attributes: Mapping[str, Any]


class SpanLink(NamedTuple):
    trace_id: int
    span_id: int
    attributes: Mapping[str, Any]


FOLLOWS_FROM: Mapping[str, Any] = {"opentracing.ref_type": "follows_from"}


class Span(trace.Span):
    """Made by tracer.start(). `sink` takes every sampled span that ends; the exporter's pipeline sets it."""

    __slots__ = (
        "attributes",
        "dropped",
        "end_time",
        "events",
        "facts",
        "failure",
        "family",
        "flags",
        "generation",
        "given_name",
        "kind",
        "links",
        "parent_id",
        "scope",
        "shared",
        "span_id",
        "start_time",
        "status",
        "trace_id",
        "trace_state",
    )

    sink: Any = staticmethod(lambda span: None)

    def __init__(
        self,
        trace_id: int,
        span_id: int,
        parent_id: int,
        flags: int,
        trace_state: str | None,
        kind: SpanKind,
        family: Family | None,
        facts: dict[str, Any],
        shared: SharedFacts | None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.flags = flags
        self.trace_state = trace_state
        self.kind = kind
        self.family = family
        self.facts = facts
        self.shared = shared
        self.given_name: str | None = None
        self.scope: str | None = None
        self.attributes: dict[str, Any] | None = None
        self.events: list[Event] | None = None
        self.links: list[SpanLink] | None = None
        self.failure: Failure | None = None
        self.status: tuple[StatusCode, str | None] | None = None
        self.dropped = 0
        self.generation = _generation
        self.end_time: int | None = None
        self.start_time = now() if flags & SAMPLED else 0

    @property
    def is_inherited(self) -> bool:
        """Did a process that has forked this one start the span?"""
        return self.generation != _generation

    # For autotrace itself ---------------------------------------------------------------------------------------------

    def end(self, end_time: int | None = None) -> None:
        """End the span. Only the first call counts."""
        if self.end_time is None:
            if self.flags & SAMPLED and self.generation == _generation:
                self.end_time = now() if end_time is None else moment(end_time)
                self.sink(self)
            else:
                self.end_time = 0  # nobody reads this time: it only marks the span as ended

    def fail(self, error: BaseException) -> None:
        """Note the exception that left this span. Its text and frames are read now, because it must not be kept."""
        if self.end_time is None and self.flags & SAMPLED:
            self.failure = failure_of(error)

    @property
    def name(self) -> str:
        return span_reader.name(self)

    # OpenTelemetry's API, for the program's own code ------------------------------------------------------------------

    def get_span_context(self) -> SpanContext:
        state = TraceState.from_header([self.trace_state]) if self.trace_state else None
        return SpanContext(self.trace_id, self.span_id, False, TraceFlags(self.flags & 0xFF), state)

    def is_recording(self) -> bool:
        return self.end_time is None and bool(self.flags & SAMPLED)

    def set_attribute(self, key: str, value: Any) -> None:
        if self.is_recording():
            key = key if type(key) is str else text_of(key)
            if self.attributes is None:
                self.attributes = {}
            if key in self.attributes or len(self.attributes) < ATTRIBUTES:
                self.attributes[key] = kept.kept(value)
            else:
                self.dropped += 1

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes_of(attributes).items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        if self.is_recording():
            if self.events is None:
                self.events = []
            if len(self.events) < EVENTS:
                time_ = now() if timestamp is None else moment(timestamp)
                self.events.append(Event(kept.kept(text_of(name)), time_, kept.kept_items(attributes_of(attributes))))
            else:
                self.dropped += 1

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        if isinstance(context, tuple) and getattr(context, "is_valid", False):
            self.link(context.trace_id, context.span_id, kept.kept_items(attributes_of(attributes)))

    def link(self, trace_id: int, span_id: int, attributes: Mapping[str, Any]) -> None:
        if self.is_recording():
            if self.links is None:
                self.links = []
            if len(self.links) < LINKS:
                self.links.append(SpanLink(trace_id, span_id, attributes))
            else:
                self.dropped += 1

    def update_name(self, name: str) -> None:
        if self.is_recording():
            self.given_name = kept.kept(text_of(name))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """As OpenTelemetry says: OK is final, UNSET changes nothing."""
        if not self.is_recording() or (self.status is not None and self.status[0] is StatusCode.OK):
            return
        if not isinstance(status, StatusCode):
            status, description = getattr(status, "status_code", StatusCode.UNSET), getattr(status, "description", None)
        if status is StatusCode.OK or status is StatusCode.ERROR:
            text = description if status is StatusCode.ERROR and description is not None else None
            self.status = (status, None if text is None else kept.kept(text_of(text)))

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        if self.is_recording() and isinstance(exception, BaseException):
            failure = failure_of(exception, None if timestamp is None else moment(timestamp))
            self.add_event("exception", {**span_reader.exception(failure), **attributes_of(attributes)}, failure.time)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if error is not None and isinstance(error, Exception):
            self.fail(error)
        self.end()

    def __repr__(self) -> str:
        return f"<Span {self.name!r} {self.trace_id:032x}-{self.span_id:016x}>"
