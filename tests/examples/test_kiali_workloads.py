"""Golden cases of Kiali's rules for workloads: two versions of one app, the label `app`, a consumer with a Service."""

from __future__ import annotations

import dataclasses

import pytest

from test_services.jaeger_thrift import ReceivedSpan
from tests.examples.kiali import SERVICE, Graph, lit, named
from tests.examples.kiali_story import DATABASE, POD, client, consumer, producer, server, span, statement, story


class TestACanary:
    """billing runs in two versions behind one service; both ask the database."""

    @pytest.fixture
    def graph(self) -> Graph:
        graph = Graph("default")
        versions = [graph.workload(f"billing-v{number}", app="billing") for number in (1, 2)]
        graph.calls("shop", graph.service("billing", *versions))
        for version in versions:
            graph.calls(version.name, graph.entry("postgresql", DATABASE[0]))
        return graph

    def spans(self) -> list[ReceivedSpan]:
        asked = [
            span(1, "shop", client(remote=("billing", 80))),
            span(2, "billing", server(), parent=1),
            span(3, "billing", statement(), parent=2),
        ]
        for one in asked[1:]:
            one.process_tags["hostname"] = f"billing-v1-{POD}"
        return asked

    def test_lights_the_version_that_was_asked_and_not_its_edge_to_the_database(self, graph: Graph) -> None:
        """A caller's span is not asked for its pod, and of two workloads of one app Kiali takes none."""
        shown = lit(graph, self.spans())
        assert named(shown.edges) == ["billing -> billing-v1", "shop -> billing"]
        assert named(shown.dark_edges) == [
            "billing -> billing-v2",
            "billing-v1 -> postgresql",
            "billing-v2 -> postgresql",
        ]
        assert [node.name for node in shown.dark_nodes] == ["billing-v2"]

    def test_without_a_service_the_edge_to_the_database_shines(self, graph: Graph) -> None:
        """As for a consumer in two versions: the walk stays at the parent's workload."""
        service = next(node for node in graph.nodes if node.kind == SERVICE)
        graph.nodes.remove(service)
        graph.edges = [edge for edge in graph.edges if service not in edge]
        assert named(lit(graph, self.spans()).edges) == ["billing-v1 -> postgresql"]

    def test_that_is_over_has_no_dark_edge(self, graph: Graph) -> None:
        gone = graph.workload("billing-v2")
        graph.nodes.remove(gone)
        graph.edges = [edge for edge in graph.edges if gone not in edge]
        assert lit(graph, self.spans()).dark_edges == []


class TestTheLabelApp:
    """The Deployment `billing` has the label `app: payments`, and its Service is called like that."""

    @pytest.fixture
    def graph(self) -> Graph:
        graph = Graph("default")
        graph.calls("shop", graph.service("payments", graph.workload("billing", app="payments")))
        graph.calls("billing", graph.entry("postgresql", DATABASE[0]))
        return graph

    def lit(self, graph: Graph, name: str) -> list[str]:
        """`name`: the service's name that billing has in Jaeger."""
        spans = [
            span(1, "shop", client(remote=("payments", 80))),
            span(2, "billing", server(), parent=1),
            span(3, "billing", statement(), parent=2),
        ]
        return named(lit(graph, [spans[0], *(dataclasses.replace(one, service=name) for one in spans[1:])]).edges)

    def test_is_the_app_of_the_service_s_name(self, graph: Graph) -> None:
        assert self.lit(graph, "payments.default") == [
            "payments -> billing",
            "shop -> payments",
            "billing -> postgresql",
        ]

    def test_is_not_found_by_the_name_of_the_program(self, graph: Graph) -> None:
        """The pod is known by its name, and so are its calls. Its own service is not."""
        assert self.lit(graph, "billing.default") == ["billing -> postgresql"]

    def test_that_another_app_has_lights_the_wrong_workload(self, graph: Graph) -> None:
        graph.calls("shop", graph.service("billing", graph.workload("invoices", app="billing")))
        assert self.lit(graph, "billing.default") == ["billing -> invoices", "shop -> billing"]


class TestAConsumerWithAService:
    """Kiali goes by the service before it comes to the workload, and no edge leads from Kafka to a service."""

    @pytest.fixture
    def graph(self) -> Graph:
        graph = story()
        graph.service("worker")
        return graph

    def spans(self) -> list[ReceivedSpan]:
        return [span(1, "shop", producer()), span(2, "worker", consumer(), parent=1)]

    def test_leaves_its_edge_to_kafka_dark(self, graph: Graph) -> None:
        shown = named(lit(graph, self.spans()).edges)
        assert "worker -> worker" in shown and "worker -> kafka" not in shown

    def test_has_the_edge_when_its_commits_have_spans(self, graph: Graph) -> None:
        """AUTOTRACE_KAFKA_COMMITS=true. A commit is a call to the broker."""
        commit = span(3, "worker", {**consumer(operation="commit", topic=None), "span.kind": "client"}, parent=2)
        assert "worker -> kafka" in named(lit(graph, [*self.spans(), commit]).edges)
