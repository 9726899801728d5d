"""Finished spans to export, made as the patches make them, and the span that a receiver must have got for each."""

from __future__ import annotations

import random
from typing import Any

from opentelemetry.trace import SpanKind

from autotrace.export.tag_value import to_tag_value
from autotrace.semantics import database, http, messaging, span_reader
from autotrace.semantics.family import Family, SharedFacts
from autotrace.settings import Settings
from autotrace.tracing.span import FOLLOWS_FROM, Span
from test_services.jaeger_thrift import ReceivedSpan


class Resource:
    """Has the attributes of the Resource in export/resource.py."""

    def __init__(self, service_name: str = "shop", **tags: Any) -> None:
        self.service_name = service_name
        self.tags = {"hostname": "pod-1", "host.name": "pod-1", "ip": "10.0.0.9", "process.pid": 7, **tags}


def settings(**values: str) -> Settings:
    return Settings({f"AUTOTRACE_{name.upper()}": value for name, value in values.items()})


def new(
    kind: SpanKind = SpanKind.INTERNAL,
    family: Family | None = None,
    facts: dict[str, Any] | None = None,
    shared: SharedFacts | None = None,
    parent: Span | None = None,
    flags: int = 1,
    trace_id: int | None = None,
    parent_id: int = 0,
) -> Span:
    """A span that has not ended. By default its ids have their top bits set, because that is where signs go wrong."""
    if trace_id is None:
        trace_id = parent.trace_id if parent else random.getrandbits(128) | 1 << 127 | 1 << 63
    span_id = random.getrandbits(64) | 1 << 63
    parent_id = parent.span_id if parent else parent_id
    return Span(trace_id, span_id, parent_id, flags, None, kind, family, facts or {}, shared)


def named(name: str, **values: Any) -> Span:
    span = new(**values)
    span.given_name = name
    return span


def ended(span: Span, after_us: int = 1500) -> Span:
    span.end(span.start_time + after_us * 1000)
    return span


def story() -> list[Span]:
    """server > SQL client, producer; consumer (follows from the producer) > HTTP client that fails."""
    connection = SharedFacts(
        {"component": "psycopg2", "instance": "shop", "remote": ("db.shop", 5432), "service": "postgresql"}
    )
    broker = SharedFacts({"component": "kafka-python", "remote": ("broker.shop", 9092), "service": "kafka"})
    server = new(
        SpanKind.SERVER,
        http.SERVER,
        {
            "component": "flask",
            "method": "GET",
            "url": "http://shop:8080/checkout?token=x",
            "route": "/checkout",
            "status": 200,
            "caller": "10.0.0.7",
        },
    )
    sql = new(
        SpanKind.CLIENT,
        database.family("postgresql"),
        {"statement": "INSERT INTO orders VALUES (1, 'ä')", "rows": 1},
        connection,
        server,
    )
    sent = new(
        SpanKind.PRODUCER,
        messaging.PRODUCER,
        {"topic": "orders", "operation": "send", "partition": 1, "offset": 0},
        broker,
        server,
    )
    got = new(
        SpanKind.CONSUMER,
        messaging.CONSUMER,
        {"topic": "orders", "operation": "process", "partition": 1, "offset": 1 << 40, "key": None},
        broker,
        sent,
    )
    got.link(sent.trace_id, sent.span_id, FOLLOWS_FROM)
    call = new(
        SpanKind.CLIENT,
        http.CLIENT,
        {"component": "requests", "method": "GET", "url": "http://mail:80/send", "remote": ("mail", 80)},
        None,
        got,
    )
    try:
        raise ConnectionError("no route")
    except ConnectionError as error:
        call.fail(error)
    return [ended(span) for span in (sql, sent, server, call, got)]


def expected(span: Span, resource: Any) -> ReceivedSpan:
    """The span that a receiver must return: from span_reader.tags(), without the encoder's caches."""
    tags = [tag for tag in span_reader.tags(span) if tag[1] is not None]
    tags.append(("span.kind", span.kind.name.lower()))
    if span.scope is not None:
        tags.append(("otel.scope.name", span.scope))
    logs = [
        (time // 1000, as_sent({**({} if "event" in attributes else {"event": name}), **attributes}))
        for name, time, attributes in span_reader.events(span)
    ]
    start, end = span.start_time // 1000, span.end_time // 1000
    follows = (
        [("FOLLOWS_FROM", link.trace_id, link.span_id) for link in span.links or () if link.attributes == FOLLOWS_FROM]
    )  # fmt: skip
    return ReceivedSpan(
        resource.service_name,
        as_sent(resource.tags),
        span.trace_id,
        span.span_id,
        span.parent_id,
        span.name,
        start,
        max(end - start, 0),
        1,
        as_sent(dict(tags)),
        logs,
        follows,
    )


def as_sent(tags: dict[str, Any]) -> dict[str, Any]:
    return {sendable(key): sendable(to_tag_value(value)) for key, value in tags.items() if value is not None}


def sendable(value: Any) -> Any:
    """With `?` for lone surrogates, which have no UTF-8."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
