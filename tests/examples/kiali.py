"""Kiali's trace overlay as an oracle: which nodes and edges of its workload graph light up for the spans of one trace.

The rules are those of Kiali's own overlay (2.27), told in our words. Where its versions differ the stricter one counts:
a workload is only found by `hostname` or `node_id`, never guessed from the app's name; a service entry is only lit by a
span that Kiali reads as TCP (no `http.*` tag), for it shows broker and topic of those alone. Spans are as Jaeger serves
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from test_services.jaeger_thrift import ReceivedSpan

WORKLOAD, SERVICE, ENTRY = "workload", "service", "entry"
_POD = re.compile(r"([a-z0-9.-]+)-[a-z0-9]+")
_TEMPLATE_HASH = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{6,16}")


class Node(NamedTuple):
    """`hosts`: of a service entry. A service is found by its app, which here has the service's name."""

    kind: str
    name: str
    namespace: str
    hosts: tuple[str, ...] = ()


class Edge(NamedTuple):
    source: Node
    target: Node

    def __str__(self) -> str:
        return f"{self.source.name} -> {self.target.name}"


class Graph:
    """What Kiali drew from the mesh's metrics before any trace is chosen. Everything is in one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []

    def workload(self, name: str) -> Node:
        return self._node(Node(WORKLOAD, name, self.namespace))

    def service(self, name: str) -> Node:
        """A service and, behind it, the workload of the same name."""
        node = self._node(Node(SERVICE, name, self.namespace))
        self._edge(node, self.workload(name))
        return node

    def entry(self, name: str, *hosts: str) -> Node:
        return self._node(Node(ENTRY, name, self.namespace, hosts))

    def calls(self, source: str, *targets: Node) -> None:
        for target in targets:
            self._edge(self.workload(source), target)

    def _node(self, node: Node) -> Node:
        if node not in self.nodes:
            self.nodes.append(node)
        return node

    def _edge(self, source: Node, target: Node) -> None:
        if Edge(source, target) not in self.edges:
            self.edges.append(Edge(source, target))


class Lit(NamedTuple):
    """What shines, in the graph's order; and what stays dark."""

    nodes: list[Node]
    edges: list[Edge]
    dark_nodes: list[Node]
    dark_edges: list[Edge]


def lit(graph: Graph, spans: Sequence[ReceivedSpan], trace_id: int | None = None) -> Lit:
    """The graph under one trace; None: under that of the first span.

    Spans of other traces are not looked at, as in Kiali.
    """
    wanted = spans[0].trace_id if trace_id is None and spans else trace_id
    trace = {span.span_id: span for span in spans if span.trace_id == wanted}
    shining: set[Node | Edge] = set()
    for span in trace.values():
        _walk(graph, span, _parent(span, trace), shining)
    return Lit(
        [node for node in graph.nodes if node in shining],
        [edge for edge in graph.edges if edge in shining],
        [node for node in graph.nodes if node not in shining],
        [edge for edge in graph.edges if edge not in shining],
    )


def _walk(graph: Graph, span: ReceivedSpan, parent: ReceivedSpan | None, shining: set[Node | Edge]) -> None:
    """From the parent's workload downstream.

    A stop that is not in the graph is left out; two stops light the edge between them.
    """
    here = [node for node in graph.nodes if parent is not None and node == workload_of(parent)]
    for stop in filter(None, _stops(graph, span)):
        shining.add(stop[0])
        between = [edge for edge in graph.edges if edge.source in here and edge.target in stop]
        # For TCP the graph may have the direction wrong, so that both are tried.
        between = between or [edge for edge in graph.edges if edge.source in stop and edge.target in here]
        shining.update(between[:1])
        here = stop


def _stops(graph: Graph, span: ReceivedSpan) -> Iterator[list[Node]]:
    """The nodes found for each stop; several where Kiali cannot tell, and then it takes the first."""
    kind = span.tags.get("span.kind")
    app, namespace = _app(span)
    yield _entries(graph, span) if kind in ("server", "consumer") else []
    yield [
        node
        for node in graph.nodes
        if (node.kind, node.name) == (SERVICE, app) and node.namespace == (namespace or node.namespace)
    ]
    yield [node for node in graph.nodes if node == workload_of(span)]
    yield _entries(graph, span) if kind in ("client", "producer") else []


def _parent(span: ReceivedSpan, trace: dict[int, ReceivedSpan]) -> ReceivedSpan | None:
    """The span of the first reference, if this trace has it.

    Jaeger puts a parent id that is in no reference before them all.
    """
    parent = (span.trace_id, span.parent_id)
    references = [(trace_id, span_id) for _, trace_id, span_id in span.references]
    if span.parent_id and parent not in references:
        references.insert(0, parent)
    return trace.get(references[0][1]) if references and references[0][0] == span.trace_id else None


def workload_of(span: ReceivedSpan) -> Node | None:
    """By the sidecar's `node_id` (`sidecar~ip~pod.namespace~domain`), else by `hostname` and the service's name."""
    if "node_id" in span.tags:
        parts = str(span.tags["node_id"]).split("~")
        pod, dot, namespace = parts[2].rpartition(".") if len(parts) > 2 else ("", "", "")
        return _workload(pod, namespace) if dot else None
    if "hostname" in span.process_tags:
        return _workload(str(span.process_tags["hostname"]), span.service.partition(".")[2].partition(".")[0])
    return None


def _workload(pod: str, namespace: str) -> Node | None:
    """`shop-6d8996bff-ztg6z`: the Deployment `shop`; `shop-0`: `shop`. None for a name that no pod has."""
    matched = _POD.fullmatch(pod)
    if matched is None:
        return None
    name, dash, last = matched[1].rpartition("-")
    return Node(WORKLOAD, name if dash and _TEMPLATE_HASH.fullmatch(last) else matched[1], namespace)


def _app(span: ReceivedSpan) -> tuple[str, str]:
    """(app, namespace) of `service.name`, unless the span's name looks like a proxy's: that is read instead."""
    if "outbound|" in span.name and "||" in span.name:
        host = span.name.split("||")[1].split(";")[0].strip()
    else:
        host = span.name if ".svc.cluster.local" in span.name else span.service
    app, _, rest = host.partition(".")
    return app, rest.partition(".")[0]


def _entries(graph: Graph, span: ReceivedSpan) -> list[Node]:
    """Service entries with a host that *begins* with the peer's: an empty one fits them all, and the first is taken."""
    if any(key.startswith("http.") for key in span.tags):
        return []
    if span.tags.get("peer.hostname"):
        host = str(span.tags["peer.hostname"])
    elif span.tags.get("peer.address"):
        host = str(span.tags["peer.address"]).split(":")[0]
    else:
        return []
    return [node for node in graph.nodes if any(known.startswith(host) for known in node.hosts)]


def named(edges: Iterable[Edge]) -> list[str]:
    return [str(edge) for edge in edges]
