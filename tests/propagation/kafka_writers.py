"""Kafka headers as other systems write them, record by record, and what they mean. Each with its source."""

from __future__ import annotations

from typing import NamedTuple

from .spans import PARENT, SHORT_TRACE, SPAN, TRACE

Header = tuple[str, bytes]
Ids = tuple[int, int]
THEIRS = (TRACE, SPAN)
T, S, P = f"{TRACE:032x}".encode(), f"{SPAN:016x}".encode(), f"{PARENT:016x}".encode()
OLD = b"%016x" % (SPAN ^ 0xFF)
DATADOG = [
    ("x-datadog-trace-id", b"%d" % (TRACE & (1 << 64) - 1)),
    ("x-datadog-parent-id", b"%d" % SPAN),
    ("x-datadog-sampling-priority", b"1"),
]


class Written(NamedTuple):
    """One record's headers, in the order of the record, and what is to be read of them."""

    headers: list[Header]
    ids: Ids | None = THEIRS
    decision: bool | None = True
    baggage: dict[str, str] | None = None
    forwarded: tuple[tuple[str, str], ...] = ()
    trace_state: str | None = None


WRITTEN = {
    # io.opentracing.contrib.kafka.HeadersMapInjectAdapter: headers.add(), nothing is removed; the codec is the
    # tracer's. jaeger-core's B3TextMapCodec (1.8) leaves a root's ParentSpanId out; other writers of that list give
    # zeros.
    "opentracing-kafka-client, B3": Written(
        [("X-B3-TraceId", T), ("X-B3-SpanId", S), ("X-B3-ParentSpanId", b"0" * 16), ("X-B3-Sampled", b"1")]
    ),
    "opentracing-kafka-client, B3, a 64-bit trace": Written(
        [("X-B3-TraceId", T[16:]), ("X-B3-SpanId", S), ("X-B3-Sampled", b"0")], (SHORT_TRACE, SPAN), False
    ),
    # TracingKafkaConsumer adds its own span's context behind the producer's, so the record in hand has two of each.
    "opentracing-kafka-client, B3, after its consumer": Written(
        [
            *[("X-B3-TraceId", T), ("X-B3-SpanId", OLD), ("X-B3-ParentSpanId", P), ("X-B3-Sampled", b"0")],
            ("mine", b"1"),
            *[("X-B3-TraceId", T), ("X-B3-SpanId", S), ("X-B3-ParentSpanId", OLD), ("X-B3-Sampled", b"1")],
        ]
    ),
    # jaeger-core's TextMapCodec as TEXT_MAP, which opentracing-kafka-client asks for: values as they are, ids padded.
    "opentracing-kafka-client, Jaeger": Written(
        [("uber-trace-id", T + b":" + S + b":0:1"), ("uberctx-user", b"7")], baggage={"user": "7"}
    ),
    "opentracing-kafka-client, Jaeger, after its consumer": Written(
        [("uber-trace-id", T + b":" + OLD + b":0:0"), ("uber-trace-id", T + b":" + S + b":" + OLD + b":1")]
    ),
    # The same codec as HTTP_HEADERS, and other languages' clients: percent-coded; jaeger-client-go pads no id.
    "Jaeger, percent-coded": Written(
        [("uber-trace-id", T + b"%3A" + S + b"%3A0%3A1"), ("uberctx-who", b"a%20b%C3%A9")], baggage={"who": "a bé"}
    ),
    "Jaeger, ids without leading zeros": Written([("uber-trace-id", b"a:b:0:0")], (10, 11), False),
    # brave.kafka.clients: B3Propagation injects single format without parent for PRODUCER and CONSUMER.
    "Brave": Written([("b3", T + b"-" + S + b"-1")]),
    "Brave, 64-bit": Written([("b3", T[16:] + b"-" + S + b"-0")], (SHORT_TRACE, SPAN), False),
    "Brave, debug": Written([("b3", T + b"-" + S + b"-d")]),
    "Brave, undecided": Written([("b3", T + b"-" + S)], decision=None),
    "Brave, told not to sample": Written([("b3", b"0")], None, False),
    # KafkaHeadersSetter: headers.remove(key).add(key, value); W3C propagators in the order of otel.propagators.
    "OpenTelemetry Java": Written(
        [
            ("traceparent", b"00-" + T + b"-" + S + b"-01"),
            ("tracestate", b"vendor=1,other=2"),
            ("baggage", b"user=7,who=a%20b;property=1"),
        ],
        baggage={"user": "7", "who": "a b"},
        trace_state="vendor=1,other=2",
    ),
    "OpenTelemetry Java, not sampled": Written([("traceparent", b"00-" + T + b"-" + S + b"-00")], decision=False),
    # Micrometer Tracing: management.tracing.propagation.produce = W3C (default), B3 (single) or B3_MULTI; Spring's
    # DefaultKafkaHeaderMapper leaves headers of its own beside them, some in JSON.
    "Spring, W3C": Written(
        [
            ("__TypeId__", b"com.example.Order"),
            ("spring_json_header_types", b'{"traceparent":"java.lang.String"}'),
            ("traceparent", b"00-" + T + b"-" + S + b"-01"),
        ]
    ),
    "Spring, B3": Written([("__TypeId__", b"com.example.Order"), ("b3", T + b"-" + S + b"-1")]),
    "Spring, B3 multi": Written(
        [("X-B3-TraceId", T), ("X-B3-SpanId", S), ("X-B3-ParentSpanId", P), ("X-B3-Sampled", b"1")]
    ),
    # dd-trace-java's default is datadog and tracecontext. The produced time is a raw long: eight bytes, no UTF-8.
    "Datadog": Written(
        [
            *DATADOG,
            ("x-datadog-tags", b"_dd.p.dm=-1,_dd.p.tid=" + T[:16]),
            ("traceparent", b"00-" + T + b"-" + S + b"-01"),
            ("tracestate", b"dd=s:1;p:" + S),
            ("x_datadog_kafka_produced", b"\x00\x00\x01\x8f\xff\xfe\x80\xc3"),
            ("dd-pathway-ctx-base64", b"x9Jq"),
        ],
        forwarded=tuple((name, value.decode()) for name, value in DATADOG),
        trace_state="dd=s:1;p:" + S.decode(),
    ),
    # DD_TRACE_PROPAGATION_STYLE=datadog: no ids that we read, but they are passed on to whom the record's work calls.
    "Datadog alone": Written(
        [*DATADOG, ("x_datadog_kafka_produced", b"\xff" * 8)],
        None,
        None,
        forwarded=tuple((name, value.decode()) for name, value in DATADOG),
    ),
}  # fmt: skip
