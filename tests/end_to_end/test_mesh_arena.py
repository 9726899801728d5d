"""The mesh arena as four processes on a real broker: one kick-off is exactly one trace, and says who is on
the screen.
"""

from __future__ import annotations

import copy
import json
import re
import sys
import time
from contextlib import ExitStack, closing
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from examples.harness import graphs
from examples.harness.expected_tags import Places
from examples.harness.places import make_topic
from examples.harness.relations import identity, parent_of
from examples.mesh_arena.arena import SERVICES, TOPIC, Arena
from examples.mesh_arena.demo import ANSWER
from examples.mesh_arena.story import BUSINESS, STEPS, faults
from test_services.jaeger import Jaeger
from test_services.jaeger_thrift import ReceivedSpan
from test_services.kafka_broker import KafkaBroker
from test_services.mock_broker import MockBroker
from test_services.receiver import Receiver
from tests.programs import ROOT, Done, bare

# The demo with one thing wrong in the services: a setting of autotrace.
_BROKEN = """
import sys
from examples.mesh_arena import demo
demo.PATIENCE = 3
demo.SETTINGS.update({%r: %r})
sys.exit(demo.main())
"""


@pytest.fixture(scope="module")
def servers(kafka: KafkaBroker | MockBroker) -> str:
    make_topic(kafka.bootstrap_servers, TOPIC)
    return kafka.bootstrap_servers


@pytest.fixture(scope="module")
def right_trace(servers: str) -> tuple[list[ReceivedSpan], Places]:
    """One right trace. The arena is gone by then: its ui would take the events of the next one."""
    with Receiver() as receiver, Arena(servers, {"AUTOTRACE_ENDPOINT": receiver.http_url}) as arena:
        arena.kick_off()
        return receiver.wait(len(STEPS), seconds=30), Places(arena.urls, servers)


class TestOneKickOffIsOneTrace:
    @pytest.mark.parametrize("convention", ["both", "opentracing", "otel"])
    def test_in_each_convention(self, servers: str, opened: ExitStack, convention: str) -> None:
        receiver = opened.enter_context(Receiver())
        settings = {"AUTOTRACE_ENDPOINT": receiver.http_url, "AUTOTRACE_CONVENTIONS": convention}
        arena = opened.enter_context(Arena(servers, settings))
        assert arena.kick_off().decode() == ANSWER
        spans = receiver.wait(len(STEPS), seconds=30)
        assert faults(spans, Places(arena.urls, servers), convention) == []

    def test_every_kick_off_is_a_trace_of_its_own(self, servers: str, opened: ExitStack) -> None:
        """The ui works through one loop for all of them; nothing of one event is left when the next one comes."""
        receiver = opened.enter_context(Receiver())
        arena = opened.enter_context(Arena(servers, {"AUTOTRACE_ENDPOINT": receiver.http_url}))
        for _ in range(3):
            arena.kick_off()
        spans = receiver.wait(3 * len(STEPS), seconds=30)
        traces = {span.trace_id for span in spans}
        assert len(traces) == 3
        for trace in traces:
            assert faults([span for span in spans if span.trace_id == trace], Places(arena.urls, servers)) == []

    def test_jaegers_own_graph_says_who_is_seen_on_the_screen(
        self, servers: str, opened: ExitStack, jaeger: Jaeger
    ) -> None:
        arena = opened.enter_context(Arena(servers, {"JAEGER_ENDPOINT": jaeger.endpoint}))
        arena.kick_off()
        wanted = {*BUSINESS, ("stadium", "ball"), ("stadium", "ai"), ("ai", "ball")}
        deadline = time.monotonic() + 30
        edges: set[tuple[str, str]] = set()
        while not wanted <= edges and time.monotonic() < deadline:
            edges = {(edge["parent"], edge["child"]) for edge in jaeger.dependencies()}
        assert {edge for edge in edges if set(edge) & set(SERVICES)} == wanted


class TestTheStory:
    @pytest.fixture(autouse=True)
    def copied(self, right_trace: tuple[list[ReceivedSpan], Places]) -> None:
        self.spans, self.places = copy.deepcopy(right_trace[0]), right_trace[1]

    def test_finds_nothing_while_nothing_is_wrong(self) -> None:
        assert faults(self.spans, self.places) == []
        assert [edge.label for edge in graphs.network(self.spans) if edge.target == "kafka"] == [self.places.kafka] * 4
        over_kafka = {(edge.source, edge.target) for edge in graphs.business(self.spans) if TOPIC in edge.label}
        assert over_kafka == BUSINESS

    def consumer_after(self, service: str, path: str) -> ReceivedSpan:
        """The ui's span of what `service` showed while it served `path`."""
        for span in self.spans:
            sent = parent_of(span, self.spans)
            serving = parent_of(sent, self.spans) if sent is not None else None
            if serving is not None and identity(serving) == (service, path, "server") and span.service == "ui":
                return span
        raise AssertionError(f"no consumer's span under {service}{path}")

    def test_an_event_under_another_services_one_is_named(self) -> None:
        """Of spans that are alike each has its place."""
        moved, other = self.consumer_after("ai", "/play"), self.consumer_after("stadium", "/centerBall")
        moved.parent_id, moved.references = other.parent_id, other.references
        lines = [line for line in faults(self.spans, self.places) if "differ in" not in line]
        assert len(lines) == 2
        assert lines[0].startswith("ui, consumer display: none under ai, producer display under ai, server /play")
        assert lines[1].startswith("ui, consumer display: not expected under stadium, producer display")

    @pytest.mark.parametrize("step", sorted({step[:3] for step in STEPS}))
    def test_a_span_that_is_missing_or_too_much_is_named(self, step: tuple[str, str, str]) -> None:
        service, target, kind = step
        one = next(span for span in self.spans if identity(span) == step)
        self.spans.remove(one)
        assert f"{service}, {kind} {target}: missing" in faults(self.spans, self.places)
        self.spans += [one, one]
        assert any(
            line.startswith(f"{service}, {kind} {target}: not expected (there")
            for line in faults(self.spans, self.places)
        )

    def test_another_record_than_was_sent_is_named(self) -> None:
        self.consumer_after("ai", "/play").tags["partition"] += 1
        assert faults(self.spans, self.places)[0].startswith("producer and consumer differ in partition: ")


class TestHarmless:
    def test_with_and_without_autotrace_the_same_is_sent(self, servers: str) -> None:
        """Records without a key, whose values are the same bytes; autotrace adds headers and nothing else."""
        sent = []
        for settings in (None, {"AUTOTRACE_EXPORTER": "none"}):
            before = _ends(servers)
            with Arena(servers, settings) as arena:
                assert arena.kick_off().decode() == ANSWER
                sent.append(_records(servers, before, 4))
                _seen(arena, 4)
        without, with_it = sent
        assert sorted(record.value for record in without) == sorted(record.value for record in with_it)
        assert sorted(json.loads(record.value)["id"] for record in without) == [
            "ball",
            "ball",
            "player",
            "stadium-score",
        ]
        assert {record.key for record in (*without, *with_it)} == {None}
        assert {len(record.headers) for record in without} == {0}
        assert all("X-B3-TraceId" in dict(record.headers) for record in with_it)

    @pytest.mark.parametrize("service", SERVICES)
    def test_a_service_is_short_and_knows_nothing_of_tracing(self, service: str) -> None:
        text = (ROOT / "examples" / "mesh_arena" / f"{service}.py").read_text()
        assert len(text.splitlines()) <= 50
        assert not re.search("trac|opentel|jaeger|span|b3|examples|header", text, re.IGNORECASE)


class TestTheDemo:
    def test_succeeds_and_shows_both_graphs(self, servers: str) -> None:
        done = bare(sys.executable, "-m", "examples.mesh_arena.demo", cwd=ROOT, KAFKA_BOOTSTRAP_SERVERS=servers)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1].startswith(f"The trace is exactly right: {len(STEPS)} spans")
        squeezed = " ".join(done.stdout.split())
        for service in ("stadium", "ball", "ai"):
            assert f"{service} ──▶ kafka {servers}" in squeezed
            assert f"{service} ──▶ ui topic display" in squeezed

    @pytest.mark.parametrize(
        ("setting", "value", "lines"),
        [
            ("AUTOTRACE_DISABLED_PATCHES", "kafka", ["stadium, producer display: missing", "graph: ai -> ui: missing"]),
            ("AUTOTRACE_CONSUMER_RELATION", "link", ["in another trace", "graph: stadium -> ui: missing"]),
            ("AUTOTRACE_CONSUMER_RELATION", "child_of", ["CHILD_OF its parent, expected is FOLLOWS_FROM"]),
        ],
    )
    def test_fails_and_says_why(self, servers: str, setting: str, value: str, lines: list[str]) -> None:
        done = _broken(servers, setting, value)
        assert done.returncode == 1
        assert "The trace is not right:" in done.stdout and "exactly right" not in done.stdout
        assert [line for line in lines if line not in done.stdout] == []


def _broken(servers: str, setting: str, value: str) -> Done:
    program = _BROKEN % (setting, value)
    return bare(sys.executable, "-c", program, cwd=ROOT, KAFKA_BOOTSTRAP_SERVERS=servers)


def _seen(arena: Arena, events: int) -> None:
    """The screen shows them: none is left for the group's next member."""
    deadline = time.monotonic() + 30
    while arena.log("ui").count("on the screen") < events:
        assert time.monotonic() < deadline, arena.log("ui")
        time.sleep(0.05)


def _reader(servers: str) -> Any:
    reader = KafkaConsumer(bootstrap_servers=servers, consumer_timeout_ms=10_000, enable_auto_commit=False)
    reader.assign([TopicPartition(TOPIC, number) for number in sorted(reader.partitions_for_topic(TOPIC))])
    return reader


def _ends(servers: str) -> dict[Any, int]:
    with closing(_reader(servers)) as reader:
        return dict(reader.end_offsets(list(reader.assignment())))


def _records(servers: str, since: dict[Any, int], count: int) -> list[Any]:
    with closing(_reader(servers)) as reader:
        for partition, offset in since.items():
            reader.seek(partition, offset)
        return [next(reader) for _ in range(count)]
