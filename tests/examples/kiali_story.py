"""The graph and the spans that the golden cases of Kiali's rules share, with the tags of our own tables."""

from __future__ import annotations

from typing import Any

from autotrace.semantics import database, http, messaging
from test_services.jaeger_thrift import ReceivedSpan
from tests.examples.kiali import Graph

KAFKA = ("kafka.messaging.svc.cluster.local", 9092)
DATABASE = ("postgresql.data.svc.cluster.local", 5432)
POD = "6d8996bff-ztg6z"


def story() -> Graph:
    """shop calls billing. Both use the backends behind service entries. worker consumes from shop and has
    no service.
    """
    graph = Graph("default")
    kafka, postgresql = graph.entry("kafka", KAFKA[0]), graph.entry("postgresql", DATABASE[0])
    graph.service("shop")
    graph.calls("shop", graph.service("billing"), kafka)
    graph.calls("billing", postgresql)
    graph.calls("worker", kafka)
    return graph


def span(
    number: int, service: str, tags: dict[str, Any], parent: int = 0, *, trace: int = 1, name: str = "work"
) -> ReceivedSpan:
    """In the pod of `service`, which is called as autotrace calls it where a namespace is known."""
    process = {"hostname": f"{service}-{POD}"}
    return ReceivedSpan(f"{service}.default", process, trace, number, parent, name, number, 1, 1, tags, [], [])


def producer(**facts: Any) -> dict[str, Any]:
    given = {"component": "kafka-python", "topic": "orders", "remote": KAFKA, **facts}
    return {"span.kind": "producer", **dict(messaging.PRODUCER.tags(given, "both"))}


def consumer(**facts: Any) -> dict[str, Any]:
    return {**producer(**facts), "span.kind": "consumer"}


def statement(**facts: Any) -> dict[str, Any]:
    given = {"component": "psycopg2", "statement": "SELECT 1 FROM t", "remote": DATABASE, **facts}
    return {"span.kind": "client", **dict(database.family("postgresql").tags(given, "both"))}


def server(**facts: Any) -> dict[str, Any]:
    return {"span.kind": "server", **dict(http.SERVER.tags({"method": "GET", "status": 200, **facts}, "both"))}


def client(**facts: Any) -> dict[str, Any]:
    return {"span.kind": "client", **dict(http.CLIENT.tags({"method": "GET", "status": 200, **facts}, "both"))}
