"""The start of a producer span: excluded topics, facts, the active span's headers in the record. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.semantics import messaging, topics
from autotrace.semantics.kafka import short_key
from autotrace.tracing import propagate, tracer
from autotrace.tracing.current import SPAN_KEY, get
from autotrace.tracing.traced_call import with_argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.propagation.context import Remote
    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.span import Span

    Started = tuple[Span, tuple[Any, ...], dict[str, Any]]


def start_span(facts: dict[str, Any], shared: SharedFacts, headers: Any = None) -> Span | None:
    """A producer span, not active yet. None: its topic is excluded, or tracing is suppressed.

    `headers`: the program's own. Where no span is active, the trace context in them is the parent.
    """
    if topics.excluded(facts.get("topic")):
        return None
    remote = parent_in(headers) if headers is not None and SPAN_KEY not in get() else None
    return tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, shared, remote)


def parent_in(headers: Any) -> Remote | None:
    """The trace context that the program has put into a record's headers itself; None if there is none."""
    # Of a class of the program's own: read as C code reads it, which calls none of its methods.
    if isinstance(headers, list):
        pairs = list.__iter__(headers)
    elif isinstance(headers, dict):
        pairs = iter(dict.items(headers))
    elif isinstance(headers, tuple):
        pairs = tuple.__iter__(headers)
    else:
        return None
    # confluent-kafka takes text, too. Of a record that has come, every value is bytes.
    remote = propagate.extract_kafka(
        [
            (pair[0], pair[1].encode()) if type(pair) is tuple and len(pair) == 2 and type(pair[1]) is str else pair
            for pair in pairs
        ]
    )
    return remote if remote is not None and (remote.trace_id or remote.decision is not None) else None


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
        headers = args[headers_position] if count > headers_position else kwargs.get("headers")
        remote = parent_in(headers) if headers is not None and SPAN_KEY not in get() else None
        span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, shared, remote)
        if span is None:
            return None
        headers = injected(args[0], headers, span)
        if headers is not None:
            args, kwargs = with_argument(args, kwargs, headers_position, "headers", headers)
        return span, args, kwargs

    return before
