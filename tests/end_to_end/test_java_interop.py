"""Java programs under three tracers and a traced Python program exchange records: one trace, both ways.

java/Exchange.java sends. java_partner.py relays what it gets and sends its own. Exchange.java receives, and prints what
its tracers made of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from examples.harness.places import make_topic
from test_services import cache, java_kafka
from test_services.jaeger_thrift import ReceivedSpan
from test_services.receiver import Receiver
from tests import programs

HERE = Path(__file__).parent
TRACERS = ("OpenTracing", "Brave", "OpenTelemetry")


class JavaSpan(NamedTuple):
    """As its tracer tells of it."""

    trace: int
    span: int
    parent: int


class Exchanged(NamedTuple):
    """`sent`: tracer -> its producer's span, of a record that was sent with another tracer's headers.

    opentracing-kafka-client appends, so that its record has two of each header. `received`: (tracer, value) -> the
    consumer's span. `ours`: all spans of Python.
    """

    sent: dict[str, JavaSpan]
    received: dict[tuple[str, str], JavaSpan]
    ours: list[ReceivedSpan]
    prefix: str

    def consumer(self, tracer: str) -> ReceivedSpan:
        """Python's span of the record that this tracer's program sent."""
        found = [s for s in self.ours if _kind(s) == "consumer" and s.parent_id == self.sent[tracer].span]
        assert len(found) == 1, self.ours
        return found[0]

    def producer(self, tracer: str, relayed: bool) -> ReceivedSpan:
        """Python's span of the record for this tracer's program; its own was sent outside of any record's work."""
        topic = f"{self.prefix}-{tracer}"
        to_it = [s for s in self.ours if _kind(s) == "producer" and s.tags["message_bus.destination"] == topic]
        found = [s for s in to_it if bool(s.parent_id) is relayed]
        assert len(found) == 1, to_it
        return found[0]


def _kind(span: ReceivedSpan) -> Any:
    return span.tags["span.kind"]


@pytest.fixture(scope="module")
def java() -> list[str]:
    try:
        return java_kafka.command(HERE / "java" / "Exchange.java")
    except cache.Unavailable as reason:
        cache.require_real("Java's Kafka clients", reason, "the tests with them are skipped")
        pytest.skip("Java's Kafka clients cannot be had")


@pytest.fixture(scope="module")
def exchanged(java: list[str], kafka: Any) -> Iterator[Exchanged]:
    broker, prefix = kafka.bootstrap_servers, f"java-{time.time_ns()}"
    make_topic(broker, prefix)
    with closing(Receiver()) as receiver:
        sent = _printed_by([*java, "send", broker, prefix])
        partner = (str(HERE / "java_partner.py"), broker, prefix, prefix, str(len(TRACERS)))
        done = programs.traced(
            sys.executable, *partner, AUTOTRACE_EXPORTER="jaeger", AUTOTRACE_ENDPOINT=receiver.http_url
        )
        assert done.returncode == 0, done.stderr
        assert "autotrace" not in programs.without_paths(done.stderr)
        received = _printed_by([*java, "receive", broker, prefix, "2"])
        last = {tracer: sent[tracer, tracer] for tracer in TRACERS}
        assert last["OpenTracing"].parent == sent["OpenTracing", "before OpenTracing"].span, "both headers are there"
        yield Exchanged(last, received, receiver.spans, prefix)


def _printed_by(command: list[str]) -> dict[tuple[str, str], JavaSpan]:
    """(tracer, the record's value) -> ids."""
    done = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(one["tracer"], one["value"]): JavaSpan(*(int(one[id], 16) for id in JavaSpan._fields)) for one in lines}


def test_all_was_exchanged(exchanged: Exchanged) -> None:
    assert set(exchanged.sent) == set(TRACERS)
    assert set(exchanged.received) == {(tracer, value) for tracer in TRACERS for value in ("relayed", "own")}
    assert len({ids.trace for ids in exchanged.sent.values()}) == len(TRACERS)


@pytest.mark.parametrize("tracer", TRACERS)
class TestEachTracer:
    def test_a_java_producers_record_is_consumed_in_its_trace(self, tracer: str, exchanged: Exchanged) -> None:
        theirs = exchanged.sent[tracer]
        ours = exchanged.consumer(tracer)
        assert (ours.trace_id, ours.parent_id) == (theirs.trace, theirs.span)
        assert ours.references == [("FOLLOWS_FROM", theirs.trace, theirs.span)]

    def test_a_java_consumer_of_a_record_of_ours_has_its_producers_span_for_parent(
        self, tracer: str, exchanged: Exchanged
    ) -> None:
        theirs = exchanged.received[tracer, "own"]
        ours = exchanged.producer(tracer, relayed=False)
        assert (theirs.trace, theirs.parent) == (ours.trace_id, ours.span_id)
        assert ours.trace_id >> 64, "a trace of ours has a long id"

    def test_a_record_relayed_headers_and_all_makes_a_hop_of_one_trace(self, tracer: str, exchanged: Exchanged) -> None:
        """Java's producer > Python's consumer > Python's producer > Java's consumer."""
        start, end = exchanged.sent[tracer], exchanged.received[tracer, "relayed"]
        ours = exchanged.producer(tracer, relayed=True)
        assert {start.trace, ours.trace_id, end.trace} == {start.trace}
        assert (end.parent, ours.parent_id) == (ours.span_id, exchanged.consumer(tracer).span_id)


def test_ids_of_64_bits_were_among_them(exchanged: Exchanged) -> None:
    """jaeger-core's default: they must leave as they came."""
    assert exchanged.sent["OpenTracing"].trace >> 64 == 0
    assert exchanged.sent["OpenTelemetry"].trace >> 64
