"""Exporter `jaeger` against an independent decoder, over real sockets: what arrives is exactly what went in."""

from __future__ import annotations

import time
from typing import Any

import pytest

from autotrace import containment
from autotrace.export.jaeger import exporter as jaeger
from autotrace.export.otel.jaeger_package import load
from autotrace.export.transport import Unavailable
from autotrace.export.transport.http import Http
from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT
from autotrace.tracing import kept
from autotrace.tracing.span import FOLLOWS_FROM, Span
from test_services.jaeger import Jaeger
from test_services.receiver import Receiver
from tests.export.finished import Resource, ended, expected, named, new, settings, story

pytestmark = pytest.mark.usefixtures("nothing_contained")


def endpoint_of(receiver: Receiver, way: str) -> str:
    if way == "http":
        return receiver.http_url
    return f"udp://127.0.0.1:{receiver.udp_binary_port if way == 'udp binary' else receiver.udp_port}"


def exporter_to(receiver: Receiver, way: str, monkeypatch: pytest.MonkeyPatch) -> jaeger.Exporter:
    if way == "udp binary":  # the port decides the protocol, and the test cannot take the well-known one
        monkeypatch.setattr("autotrace.export.jaeger.endpoint.BINARY_PORT", receiver.udp_binary_port)
    return jaeger.make(settings(endpoint=endpoint_of(receiver, way)))


def send(exporter: Any, spans: list[Span], resource: Any = None, seconds: float = 5) -> None:
    try:
        exporter.export(list(spans), resource or Resource(), time.monotonic() + seconds)
    finally:
        exporter.close()


@pytest.mark.parametrize("way", ["http", "udp", "udp binary"])
def test_spans_arrive_unchanged(receiver: Receiver, way: str, convention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spans, resource = story(), Resource(région="é")
    exporter = exporter_to(receiver, way, monkeypatch)
    send(exporter, spans, resource)
    assert receiver.wait(len(spans)) == [expected(span, resource) for span in spans]
    assert (exporter.sent, exporter.dropped) == (len(spans), 0)


def test_the_caches_of_the_encoder_change_nothing(receiver: Receiver, convention: str) -> None:
    """The second time all facts are cached. 1 and True are equal as keys and keep their types."""
    exporter = jaeger.make(settings(endpoint=receiver.http_url))
    resource = Resource()
    spans = story() + story()
    for value in (1, True, 1.0, 1):
        spans.append(ended(new(family=spans[0].family, facts={"rows": value, "statement": "SELECT 1"})))
    send(exporter, spans, resource)
    got = receiver.wait(len(spans))
    assert got == [expected(span, resource) for span in spans]
    if convention != "otel":
        assert [type(span.tags["db.rows_affected"]) for span in got[-4:]] == [int, bool, float, int]


@pytest.mark.parametrize("way", ["http", "udp", "udp binary"])
def test_many_large_spans_arrive_whole(receiver: Receiver, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = []
    for number in range(400):
        span = named(f"large {number}")
        span.set_attribute("text", f"{number:06}" * 2000)
        spans.append(ended(span))
    exporter = exporter_to(receiver, way, monkeypatch)
    send(exporter, spans)
    resource = Resource()
    assert receiver.wait(400) == [expected(span, resource) for span in spans]
    assert exporter.sent == 400
    if way == "http":
        assert len(receiver.bodies) > 3
        assert max(map(len, receiver.bodies)) <= jaeger.POST_LIMIT
    else:
        assert max(receiver.packets) <= 65_000
        assert min(receiver.packets[:-1]) > 50_000, "packets are filled"


class TestASpanThatIsTooLarge:
    def test_has_its_longest_texts_cut(self, receiver: Receiver) -> None:
        span = named("n" * 70_000)
        span.set_attribute("long", "ä" * 100_000)
        span.set_attribute("short", "kept")
        span.set_attribute("raw", b"\xff" * 70_000)
        span.add_event("e", {"stack": "s" * 90_000})
        span.set_attribute("k" * 70_000, 1)
        exporter = jaeger.make(settings(endpoint=endpoint_of(receiver, "udp")))
        send(exporter, [ended(span)])
        (got,) = receiver.wait(1)
        assert got.tags["short"] == "kept"
        assert got.tags["long"].startswith("ää")
        assert got.tags["long"].endswith("...")
        assert receiver.packets[0] <= 65_000
        assert sum(map(len, (got.tags["long"], got.logs[0][1]["stack"], got.name))) > 10_000, "not more than needed"
        assert (exporter.sent, exporter.dropped) == (1, 0)

    def test_is_dropped_counted_and_reported_if_that_does_not_help(
        self, receiver: Receiver, capfd: pytest.CaptureFixture[str]
    ) -> None:
        span, small = named("hopeless"), ended(named("small"))
        for number in range(128):
            span.add_event("e", {f"key {number} {inner}": inner for inner in range(128)})
        exporter = jaeger.make(settings(endpoint=endpoint_of(receiver, "udp")))
        ended(span)
        send(exporter, [span, small, span])
        assert [got.name for got in receiver.wait(1)] == ["small"]
        assert (exporter.sent, exporter.dropped) == (1, 2)
        assert capfd.readouterr().err.count("autotrace: ") == 1

    def test_tags_of_the_process_leave_room_for_spans(self, receiver: Receiver) -> None:
        exporter = jaeger.make(settings(endpoint=endpoint_of(receiver, "udp")))
        send(exporter, [ended(named("x"))], Resource("s" * 50_000, huge="v" * 100_000, other="o"))
        (got,) = receiver.wait(1)
        assert got.process_tags["other"] == "o"
        assert got.process_tags["huge"].startswith("vvv")


def test_a_span_that_cannot_be_encoded_costs_no_other(receiver: Receiver) -> None:
    spoiled, fine = ended(named("spoiled")), ended(named("fine"))
    spoiled.start_time = 1.5  # type: ignore[assignment]
    exporter = jaeger.make(settings(endpoint=receiver.http_url))
    send(exporter, [spoiled, fine])
    assert [span.name for span in receiver.wait(1)] == ["fine"]
    assert (exporter.sent, exporter.dropped) == (1, 1)
    assert containment.failures.pop("the exporter jaeger")[0] == 1


class TestAFailure:
    def test_leaves_the_spans_that_were_not_sent(self, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
        """Spans that a collector took are not sent again, and no others are counted as sent."""
        monkeypatch.setattr(kept, "limit", 1 << 20)
        spans = []
        for number in range(4):
            span = named(f"{number}")
            span.set_attribute("text", "x" * 600_000)
            spans.append(ended(span))
        exporter = jaeger.make(settings(endpoint=receiver.http_url))
        send_whole, posts = Http.send, []

        def failing(self: Any, body: bytes, *rest: Any) -> None:
            posts.append(len(body))
            if len(posts) == 3:
                raise Unavailable("gone")
            send_whole(self, body, *rest)

        monkeypatch.setattr(Http, "send", failing)
        left = list(spans)
        with pytest.raises(Unavailable, match="gone"):
            exporter.export(left, Resource(), time.monotonic() + 5)
        assert left == spans[2:]
        assert exporter.sent == 2
        exporter.export(left, Resource(), time.monotonic() + 5)
        exporter.close()
        assert left == []
        assert [span.name for span in receiver.wait(4)] == ["0", "1", "2", "3"]

    def test_counts_a_span_that_cannot_be_encoded_once(self) -> None:
        first, spoiled, last = (ended(named(name)) for name in ("first", "spoiled", "last"))
        spoiled.start_time = 1.5  # type: ignore[assignment]
        exporter = jaeger.make(settings(endpoint="http://127.0.0.1:1"))
        left = [first, spoiled, last]
        for _ in range(3):
            with pytest.raises(OSError):
                exporter.export(left, Resource(), time.monotonic() + 5)
        assert left == [first, last]
        assert (exporter.sent, exporter.dropped) == (0, 1)
        assert containment.failures.pop("the exporter jaeger")[0] == 1

    def test_names_the_collector_that_does_not_answer_in_one_line(self) -> None:
        with pytest.raises(OSError, match=r"http://127\.0\.0\.1:1/api/traces") as raised:
            send(jaeger.make(settings(endpoint="http://127.0.0.1:1")), [ended(named("x"))])
        assert "\n" not in str(raised.value)


class TestReferences:
    """Jaeger reads parentSpanId as CHILD_OF; a reference to the same span replaces that."""

    def references(self, receiver: Receiver, span: Span) -> list[tuple[str, int, int]]:
        send(jaeger.make(settings(endpoint=receiver.http_url)), [ended(span)])
        (got,) = receiver.wait(1)
        assert got.parent_id == span.parent_id
        return got.references

    def test_a_child_has_none(self, receiver: Receiver) -> None:
        assert self.references(receiver, new(parent=new())) == []

    def test_a_consumer_has_exactly_one_to_its_producer(self, receiver: Receiver) -> None:
        parent = new()
        span = new(parent=parent)
        span.link(parent.trace_id, parent.span_id, FOLLOWS_FROM)
        span.link(parent.trace_id, parent.span_id, {})
        assert self.references(receiver, span) == [("FOLLOWS_FROM", parent.trace_id, parent.span_id)]

    def test_a_link_to_the_parent_that_does_not_say_so_leaves_it_a_child(self, receiver: Receiver) -> None:
        parent = new()
        span = new(parent=parent)
        span.link(parent.trace_id, parent.span_id, {"opentracing.ref_type": "child_of"})
        assert self.references(receiver, span) == []

    def test_other_links_follow_whatever_their_trace(self, receiver: Receiver) -> None:
        parent = new()
        span = new(parent=parent)
        for trace_id, span_id in ((5, 6), (parent.trace_id, 7), (5, 6), (1 << 127, 1 << 63)):
            span.link(trace_id, span_id, {"a": 1})
        assert self.references(receiver, span) == [
            ("FOLLOWS_FROM", 5, 6),
            ("FOLLOWS_FROM", parent.trace_id, 7),
            ("FOLLOWS_FROM", 1 << 127, 1 << 63),
        ]

    def test_a_link_without_parent_is_a_reference_only(self, receiver: Receiver) -> None:
        span = new()
        span.link(9, 10, {"opentracing.ref_type": "child_of"})
        assert self.references(receiver, span) == [("CHILD_OF", 9, 10)]


@pytest.mark.parametrize(
    ("flags", "sent"),
    [(SAMPLED, 1), (SAMPLED | RANDOM, 1), (SAMPLED | SHORT, 1), (SAMPLED | DEBUG, 3), (SAMPLED | RANDOM | DEBUG, 3)],
)
def test_only_a_debug_of_b3_is_jaegers_debug(receiver: Receiver, flags: int, sent: int) -> None:
    send(jaeger.make(settings(endpoint=receiver.http_url)), [ended(new(flags=flags))])
    assert receiver.wait(1)[0].flags == sent


def test_a_clock_set_back_makes_no_negative_duration(receiver: Receiver) -> None:
    send(jaeger.make(settings(endpoint=receiver.http_url)), [ended(new(), after_us=-5_000_000)])
    assert receiver.wait(1)[0].duration_us == 0


def test_a_status_of_the_programs_own_keeps_its_text(receiver: Receiver) -> None:
    from opentelemetry.trace import StatusCode

    failed, well = named("failed"), named("well")
    failed.set_status(StatusCode.ERROR, "no stock")
    well.set_status(StatusCode.OK)
    send(jaeger.make(settings(endpoint=receiver.http_url)), [ended(failed), ended(well)])
    one, other = (span.tags for span in receiver.wait(2))
    assert (one["error"], one["otel.status_code"], one["otel.status_description"]) == (True, "ERROR", "no stock")
    assert other["otel.status_code"] == "OK"
    assert "error" not in other


def test_the_generated_code_of_opentelemetrys_package_reads_the_same(receiver: Receiver) -> None:
    """A second decoder, of other authors: Apache Thrift's own runtime."""
    types = load(".gen.jaeger.ttypes")
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport.TTransport import TMemoryBuffer

    spans = story()
    send(jaeger.make(settings(endpoint=receiver.http_url)), spans)
    got = receiver.wait(len(spans))
    batch = types.Batch()
    batch.read(TBinaryProtocol(TMemoryBuffer(receiver.bodies[0])))
    assert batch.process.serviceName == "shop"
    fields = ("vStr", "vDouble", "vBool", "vLong", "vBinary")
    for read, received in zip(batch.spans, got, strict=True):
        assert (read.operationName, read.spanId & (1 << 64) - 1) == (received.name, received.span_id)
        assert (read.startTime, read.duration, read.flags) == (received.start_us, received.duration_us, received.flags)
        assert {tag.key: getattr(tag, fields[tag.vType]) for tag in read.tags} == received.tags
        assert [ref.refType for ref in read.references or ()] == [1] * len(received.references)


def test_the_generated_code_reads_a_packet_too(receiver: Receiver) -> None:
    from autotrace.export.jaeger import thrift_compact

    agent = load(".gen.agent.Agent")
    from thrift.protocol.TCompactProtocol import TCompactProtocol
    from thrift.transport.TTransport import TMemoryBuffer

    tags = [thrift_compact.tag("t", True), thrift_compact.tag("d", 1.5), thrift_compact.tag("i", -(1 << 63))]
    body = thrift_compact.span(1 << 127, 1 << 63, 3, b"op", 1, 5, 6, [(1, 7, 8)], len(tags), tags, [(9, tags)] * 16)
    packet = thrift_compact.message(thrift_compact.process("shop", tags), [body] * 15)
    protocol = TCompactProtocol(TMemoryBuffer(packet))
    assert protocol.readMessageBegin() == ("emitBatch", 4, 0)
    arguments = agent.emitBatch_args()
    arguments.read(protocol)
    span = arguments.batch.spans[14]
    assert (span.traceIdHigh, span.traceIdLow, span.spanId, span.parentSpanId) == (-(1 << 63), 0, -(1 << 63), 3)
    assert [(tag.vBool, tag.vDouble, tag.vLong) for tag in span.logs[15].fields] == [
        (True, None, None),
        (None, 1.5, None),
        (None, None, -(1 << 63)),
    ]


@pytest.mark.parametrize("way", ["http", "udp"])
def test_jaeger_itself_understands(jaeger: Jaeger, way: str) -> None:
    from autotrace.export.jaeger.exporter import make

    spans = story()
    spans[0].attributes = {"nan": float("nan"), "infinite": float("inf"), "list": (1, "a"), "raw": b"\xff"}
    where = jaeger.endpoint if way == "http" else f"udp://{jaeger.agent_host}:{jaeger.agent_port}"
    send(make(settings(endpoint=where)), spans)
    trace = jaeger.trace(f"{spans[0].trace_id:032x}", len(spans))
    by_id = {span["spanID"]: span for span in trace["spans"]}
    assert by_id.keys() == {f"{span.span_id:016x}" for span in spans}
    consumer = by_id[f"{spans[4].span_id:016x}"]
    assert [(ref["refType"], ref["spanID"]) for ref in consumer["references"]] == [
        ("FOLLOWS_FROM", f"{spans[1].span_id:016x}")
    ]
    (process,) = trace["processes"].values()
    assert process["serviceName"] == "shop"
    assert {"hostname", "host.name"} <= {tag["key"] for tag in process["tags"]}
    assert not consumer.get("warnings")
