"""Both stories under Kiali's rules: every node and every edge of the mesh shines, Kafka and the database included.

The services run here as processes and not in pods: what a pod gives them (its name as the host's name, its namespace)
is put in afterwards, as autotrace's resource has it there. The peers' names are really configured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from examples.eshop.shop import Shop
from examples.eshop.story import STEPS as ESHOP_STEPS
from examples.harness.places import make_topic
from examples.mesh_arena.arena import TOPIC, Arena
from examples.mesh_arena.story import STEPS as ARENA_STEPS
from test_services.jaeger_thrift import ReceivedSpan
from test_services.receiver import Receiver
from tests.end_to_end.backends import Backends
from tests.examples.kiali import Graph, lit, named

KAFKA, DATABASE = "kafka.backends.svc.cluster.local", "postgresql.backends.svc.cluster.local"


def eshop_mesh() -> Graph:
    graph = Graph("eshop")
    # Only the consumer has no port of its own, and so no service.
    inventory, billing, delivery, notification = map(
        graph.service, ("inventory", "billing", "delivery", "notification")
    )
    graph.service("eshop")
    kafka, database = graph.entry("kafka", KAFKA), graph.entry("postgresql", DATABASE)
    graph.calls("eshop", inventory, billing, delivery, kafka)
    graph.calls("consumer", kafka, notification)
    graph.calls("billing", database)
    graph.calls("notification", database)
    return graph


def arena_mesh() -> Graph:
    graph = Graph("mesh-arena")
    ball, ai = graph.service("ball"), graph.service("ai")
    graph.service("stadium")
    kafka = graph.entry("kafka", KAFKA)
    graph.calls("stadium", ball, ai, kafka)
    graph.calls("ai", ball, kafka)
    graph.calls("ball", kafka)
    graph.calls("ui", kafka)
    return graph


def in_pods(spans: Sequence[ReceivedSpan], namespace: str) -> list[ReceivedSpan]:
    return [
        dataclasses.replace(
            span,
            service=f"{span.service}.{namespace}",
            process_tags={**span.process_tags, "hostname": f"{span.service}-6d8996bff-ztg6z"},
        )
        for span in spans
    ]


def brokers(backends: Backends) -> tuple[str, dict[str, str]]:
    """The broker under another address than the HTTP services have, and the setting that names it."""
    return f"localhost:{backends.kafka.rpartition(':')[2]}", {"AUTOTRACE_PEER_NAMES": f"localhost={KAFKA}"}


_BEYOND_STADIUM = {
    "stadium -> ball",
    "stadium -> ai",
    "ai -> ball",
    "ball -> ball",
    "ai -> ai",
    "ball -> kafka",
    "ai -> kafka",
}
"""What is dark where a request begins a trace of its own."""


@pytest.fixture
def receiver(opened: ExitStack) -> Receiver:
    return opened.enter_context(Receiver())


@pytest.mark.parametrize("convention", ["both", "opentracing"])
def test_the_eshop_lights_every_edge(backends: Backends, receiver: Receiver, convention: str) -> None:
    kafka, names = brokers(backends)
    where = backends.database
    # libpq connects to hostaddr and calls it by the name of host: a name that nobody has to resolve
    url = f"host={DATABASE} hostaddr=127.0.0.1 port={where.port} dbname={where.name} user={where.user}"
    settings = {"AUTOTRACE_ENDPOINT": receiver.http_url, "AUTOTRACE_CONVENTIONS": convention, **names}
    with Shop(kafka, url, settings) as shop:
        shop.checkout()
        spans = in_pods(receiver.wait(len(ESHOP_STEPS), seconds=30), "eshop")
    shown = lit(eshop_mesh(), spans)
    assert (shown.dark_nodes, named(shown.dark_edges)) == ([], [])
    assert len(shown.edges) == 13


def test_the_mesh_arena_lights_every_edge(backends: Backends, receiver: Receiver) -> None:
    kafka, names = brokers(backends)
    make_topic(kafka, TOPIC)
    with Arena(kafka, {"AUTOTRACE_ENDPOINT": receiver.http_url, **names}) as arena:
        arena.kick_off()
        spans = in_pods(receiver.wait(len(ARENA_STEPS), seconds=30), "mesh-arena")
    shown = lit(arena_mesh(), spans)
    assert (shown.dark_nodes, named(shown.dark_edges)) == ([], [])
    assert len(shown.edges) == 10


@pytest.mark.parametrize(
    ("setting", "value", "dark"),
    [
        ("AUTOTRACE_CONVENTIONS", "otel", {"stadium -> kafka", "ball -> kafka", "ai -> kafka", "ui -> kafka"}),
        ("AUTOTRACE_CONSUMER_RELATION", "link", {"ui -> kafka"}),
        ("AUTOTRACE_PEER_NAMES", "localhost=10.96.0.17", {"stadium -> kafka", "ball -> kafka", "ai -> kafka", "ui -> kafka"}),
        ("AUTOTRACE_PROPAGATION_TARGETS", "nobody", _BEYOND_STADIUM),
    ],
)  # fmt: skip
def test_a_setting_that_breaks_a_rule_leaves_edges_dark(
    backends: Backends, receiver: Receiver, setting: str, value: str, dark: set[str]
) -> None:
    kafka, names = brokers(backends)
    make_topic(kafka, TOPIC)
    with Arena(kafka, {"AUTOTRACE_ENDPOINT": receiver.http_url, **names, setting: value}) as arena:
        arena.kick_off()
        spans = in_pods(receiver.wait(len(ARENA_STEPS), seconds=30), "mesh-arena")
    kick_off = next(span.trace_id for span in spans if span.service == "stadium.mesh-arena" and not span.parent_id)
    assert set(named(lit(arena_mesh(), spans, kick_off).dark_edges)) == dark
