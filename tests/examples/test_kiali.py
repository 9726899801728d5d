"""Golden cases of Kiali's rules, with the tags of our own tables: what lights a broker, a database, a workload."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from autotrace.semantics import database, http, messaging
from test_services.jaeger_thrift import ReceivedSpan
from tests.examples.kiali import Graph, Node, lit, named, workload_of

KAFKA = ("kafka.messaging.svc.cluster.local", 9092)
DATABASE = ("postgresql.data.svc.cluster.local", 5432)
POD = "6d8996bff-ztg6z"


@pytest.fixture
def graph() -> Graph:
    """shop calls billing. Both use the backends behind service entries. worker consumes from shop and has no service."""
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


class TestTheWholeStory:
    def spans(self) -> list[ReceivedSpan]:
        heard = span(6, "worker", consumer(), parent=5)
        heard.references.append(("FOLLOWS_FROM", 1, 5))
        return [
            span(1, "shop", server(caller="127.0.0.6")),
            span(2, "shop", client(remote=("billing", 80)), parent=1),
            span(3, "billing", server(caller="127.0.0.6"), parent=2),
            span(4, "billing", statement(), parent=3),
            span(5, "shop", producer(), parent=1),
            heard,
        ]

    def test_every_node_and_every_edge_shines(self, graph: Graph) -> None:
        shown = lit(graph, self.spans())
        assert (shown.dark_nodes, named(shown.dark_edges)) == ([], [])
        assert {"shop -> kafka", "worker -> kafka", "billing -> postgresql"} <= set(named(shown.edges))

    @pytest.mark.parametrize(
        ("missing", "dark"),
        [
            (3, ["shop -> billing", "billing -> billing"]),
            (4, ["billing -> postgresql"]),
            (6, ["worker -> kafka"]),
        ],
    )
    def test_a_span_that_is_missing_leaves_its_edges_dark(self, graph: Graph, missing: int, dark: list[str]) -> None:
        spans = [one for one in self.spans() if one.span_id != missing]
        if missing == 3:  # and what hangs below it
            spans = [one for one in spans if one.service != "billing.default"]
            dark = [*dark, "billing -> postgresql"]
        assert set(named(lit(graph, spans).dark_edges)) == set(dark)

    def test_a_consumer_in_a_trace_of_its_own_is_not_in_the_picture(self, graph: Graph) -> None:
        """AUTOTRACE_CONSUMER_RELATION=link: the link to the producer is there, and draws nothing."""
        *spans, heard = self.spans()
        alone = dataclasses.replace(heard, trace_id=2, parent_id=0, references=[("FOLLOWS_FROM", 1, 5)])
        shown = lit(graph, [*spans, alone])
        assert named(shown.dark_edges) == ["worker -> kafka"]
        assert [node.name for node in shown.dark_nodes] == ["worker"]

    def test_of_several_references_the_first_one_counts(self, graph: Graph) -> None:
        *spans, heard = self.spans()
        elsewhere = ("FOLLOWS_FROM", 2, 5)
        heard.references.append(elsewhere)
        graph.calls("shop", graph.workload("worker"))  # an edge that only a known parent can light
        graph.edges.remove(next(edge for edge in graph.edges if str(edge) == "worker -> kafka"))
        assert lit(graph, [*spans, dataclasses.replace(heard, tags={})]).dark_edges == []
        turned = dataclasses.replace(heard, tags={}, references=heard.references[::-1])
        assert named(lit(graph, [*spans, turned]).dark_edges) == ["shop -> worker"]
        assert lit(graph, [*spans, dataclasses.replace(turned, references=[elsewhere])]).dark_edges == []

    def test_from_the_consumers_side_a_link_leads_nowhere(self, graph: Graph) -> None:
        *spans, heard = self.spans()
        alone = dataclasses.replace(heard, trace_id=2, parent_id=0, references=[("FOLLOWS_FROM", 1, 5)])
        assert named(lit(graph, [*spans, alone], trace_id=2).edges) == ["worker -> kafka"]


class TestABrokerOrADatabase:
    """One span of shop under its server's span; is the edge to the service entry drawn?"""

    def drawn(self, graph: Graph, tags: dict[str, Any]) -> list[str]:
        graph.calls("shop", graph.entry("postgresql", DATABASE[0]))
        spans = [span(1, "shop", server()), span(2, "shop", tags, parent=1)]
        return [edge for edge in named(lit(graph, spans).edges) if edge in ("shop -> kafka", "shop -> postgresql")]

    def test_is_drawn_for_a_producer_a_client_and_a_consumer(self, graph: Graph) -> None:
        assert self.drawn(graph, producer()) == ["shop -> kafka"]
        assert self.drawn(graph, consumer()) == ["shop -> kafka"]
        assert self.drawn(graph, statement()) == ["shop -> postgresql"]

    @pytest.mark.parametrize("host", ["kafka", "kafka.messaging", "kafka.messaging.svc.cluster.local"])
    def test_is_found_by_every_short_form_of_its_name(self, graph: Graph, host: str) -> None:
        assert self.drawn(graph, producer(remote=(host, 9092))) == ["shop -> kafka"]

    @pytest.mark.parametrize("host", ["messaging", "svc.cluster.local", "kafka.other", "Kafka", "kafka:9092"])
    def test_is_found_by_a_prefix_and_nothing_else(self, graph: Graph, host: str) -> None:
        assert self.drawn(graph, {"span.kind": "producer", "peer.hostname": host}) == []

    def test_is_found_by_the_address_where_there_is_no_host_name(self, graph: Graph) -> None:
        assert self.drawn(graph, {"span.kind": "producer", "peer.address": "kafka.messaging:9092"}) == ["shop -> kafka"]

    def test_the_host_name_wins_over_the_address(self, graph: Graph) -> None:
        both = {"peer.hostname": DATABASE[0], "peer.address": "kafka.messaging:9092"}
        assert self.drawn(graph, {"span.kind": "client", **both}) == ["shop -> postgresql"]

    def test_an_address_without_a_host_marks_the_wrong_one(self, graph: Graph) -> None:
        """Every host begins with nothing: the first entry shines, which is Kafka, for a database."""
        assert self.drawn(graph, {"span.kind": "client", "peer.address": ":5432"}) == ["shop -> kafka"]

    @pytest.mark.parametrize("remote", [("", None), ("", 5432)])
    def test_our_spans_of_a_unix_socket_name_no_peer_at_all(self, graph: Graph, remote: Any) -> None:
        assert not [key for key in statement(remote=remote) if key.startswith("peer.")]
        assert self.drawn(graph, statement(remote=remote)) == []

    @pytest.mark.parametrize("ip", ["10.96.4.2", "fd00::42", "::1"])
    def test_a_resolved_address_draws_nothing(self, graph: Graph, ip: str) -> None:
        assert self.drawn(graph, producer(remote=(ip, 9092))) == []

    def test_an_address_with_a_scheme_draws_nothing(self, graph: Graph) -> None:
        assert self.drawn(graph, {"span.kind": "producer", "peer.address": f"PLAINTEXT://{KAFKA[0]}:9092"}) == []

    @pytest.mark.parametrize("kind", [None, "internal", "PRODUCER", "SPAN_KIND_PRODUCER"])
    def test_without_a_kind_nothing_is_drawn(self, graph: Graph, kind: str | None) -> None:
        tags = {key: value for key, value in producer().items() if key != "span.kind"}
        assert self.drawn(graph, {**tags, **({"span.kind": kind} if kind else {})}) == []

    def test_a_tag_of_http_hides_it(self, graph: Graph) -> None:
        assert self.drawn(graph, {**producer(), "http.method": "GET"}) == []

    def test_the_names_of_opentelemetry_alone_draw_nothing(self, graph: Graph) -> None:
        for kind, family, facts in (
            ("producer", messaging.PRODUCER, {"topic": "orders", "remote": KAFKA, "address": "10.1.2.3"}),
            ("client", database.family("postgresql"), {"statement": "SELECT 1", "remote": DATABASE}),
        ):
            assert self.drawn(graph, {"span.kind": kind, **dict(family.tags(facts, "otel"))}) == []
            assert self.drawn(graph, {"span.kind": kind, **dict(family.tags(facts, "opentracing"))}) != []

    @pytest.mark.parametrize("caller", ["127.0.0.6", "10.1.2.3", "::6", "fd00::17", ""])
    def test_the_caller_of_a_server_is_no_broker(self, graph: Graph, caller: str) -> None:
        """Behind a sidecar callers are 127.0.0.6, or ::6, whose part before the first colon is empty.

        Without the tags of HTTP, which hide this from the oracle but not from every Kiali.
        """
        assert self.drawn(graph, {key: tag for key, tag in server(caller=caller).items() if "http." not in key}) == []


class TestAWorkload:
    @pytest.mark.parametrize(
        ("pod", "workload"),
        [
            ("shop-6d8996bff-ztg6z", "shop"),
            ("shop-front-7f9c4d8b6-x2x4k", "shop-front"),
            ("shop-0", "shop"),
            ("shop-replicaset-x2x4k", "shop-replicaset"),
        ],
    )
    def test_is_found_by_the_name_of_the_pod(self, pod: str, workload: str) -> None:
        one = span(1, "any", {})
        one.process_tags = {"hostname": pod}
        assert workload_of(one) == Node("workload", workload, "default")

    def test_is_found_by_the_node_id_of_its_sidecar(self) -> None:
        one = span(1, "any", {"node_id": f"sidecar~10.1.2.3~shop-{POD}.prod~prod.svc.cluster.local"})
        assert workload_of(one) == Node("workload", "shop", "prod")

    @pytest.mark.parametrize("process", [{}, {"host.name": f"shop-{POD}"}, {"hostname": "laptop"}])
    def test_is_not_found_by_anything_else(self, process: dict[str, Any]) -> None:
        """Jaeger 2 renames `hostname` to `host.name` unless both are there, and then nothing of that service shines."""
        one = span(1, "shop", {})
        one.process_tags = process
        assert workload_of(one) is None

    @pytest.mark.parametrize("service", ["shop", "shop.other"])
    def test_needs_its_namespace_in_the_name_of_the_service(self, graph: Graph, service: str) -> None:
        one = dataclasses.replace(span(1, "shop", server()), service=service)
        found = (
            [("service", "shop")] if service == "shop" else []
        )  # an app without a namespace is looked for in all of them
        assert [(node.kind, node.name) for node in lit(graph, [one]).nodes] == found


class TestANameOfASpan:
    @pytest.mark.parametrize("name", ["GET /payment", "GET", "send orders", "INSERT eshop_payments", "kafka.publish"])
    def test_is_left_alone(self, graph: Graph, name: str) -> None:
        assert named(lit(graph, [span(1, "billing", server(), name=name)]).edges) == ["billing -> billing"]

    @pytest.mark.parametrize(
        "name", ["shop.default.svc.cluster.local:80/*", "router outbound|80||shop.default.svc.cluster.local; egress"]
    )
    def test_that_looks_like_a_proxys_is_read_as_the_service(self, graph: Graph, name: str) -> None:
        """So a span of billing marks shop, and none of ours may hold a full host name."""
        shown = lit(graph, [span(1, "billing", server(), name=name)])
        assert [(node.kind, node.name) for node in shown.nodes] == [("service", "shop"), ("workload", "billing")]

    @pytest.mark.parametrize("convention", ["both", "opentracing", "otel"])
    def test_ours_never_look_so(self, convention: str) -> None:
        full = {"remote": ("shop.default.svc.cluster.local", 80), "host": ("shop.default.svc.cluster.local", 80)}
        for name in (
            http.CLIENT.name({"method": "GET", **full}, convention),
            http.SERVER.name({"method": "GET", "route": "/a", **full}, convention),
            messaging.PRODUCER.name({"topic": "orders", **full}, convention),
            database.family("postgresql").name({"statement": "SELECT 1 FROM t", **full}, convention),
        ):
            assert ".svc.cluster.local" not in name and "outbound|" not in name and name


def test_no_spans_light_nothing(graph: Graph) -> None:
    shown = lit(graph, [])
    assert (shown.nodes, shown.edges, shown.dark_edges) == ([], [], graph.edges)
