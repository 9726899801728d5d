"""The start of a producer span: excluded topics, facts, the active span's headers in the record. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.semantics import messaging, topics
from autotrace.semantics.kafka import short_key
from autotrace.tracing import tracer
from autotrace.tracing.traced_call import with_argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.span import Span

    Started = tuple[Span, tuple[Any, ...], dict[str, Any]]


def start_span(facts: dict[str, Any], shared: SharedFacts) -> Span | None:
    """A producer span, not active yet. None: its topic is excluded, or tracing is suppressed."""
    if topics.excluded(facts.get("topic")):
        return None
    return tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, shared)


def before_send(
    shared_of: Callable[[Any], SharedFacts | None],
    headers_position: int,
    injected: Callable[[Any, Any, Span], Any],
) -> Callable[[tuple[Any, ...], dict[str, Any]], Started | None]:
    """`before` of traced() and traced_await(), for a method (self, topic, value, key, …) that also takes `headers`.

    `shared_of`: a producer -> its shared facts, None where it is left alone.
    `injected`: (producer, the caller's headers, the span) -> headers to send instead; None: the caller's stay.
    """

    # start_span() and argument(), written out: this is a hot path.
    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Started | None:
        shared = shared_of(args[0])
        if shared is None:
            return None
        count = len(args)
        topic = args[1] if count > 1 else kwargs.get("topic")
        if topics.excluded(topic):
            return None
        facts = {"topic": topic, "key": short_key(args[3] if count > 3 else kwargs.get("key"))}
        span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, shared)
        if span is None:
            return None
        headers = args[headers_position] if count > headers_position else kwargs.get("headers")
        headers = injected(args[0], headers, span)
        if headers is not None:
            args, kwargs = with_argument(args, kwargs, headers_position, "headers", headers)
        return span, args, kwargs

    return before
