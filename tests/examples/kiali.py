"""Kiali's trace overlay as an oracle: which nodes and edges of its workload graph light up for the spans of one trace.

The rules are those of Kiali's own overlay (2.31), told in our words. Where its versions differ the stricter one counts:
the workload of a server or a consumer is only found by `hostname` or `node_id`, never guessed from the app's name, and
a trace does not begin at the workload of its first span. Spans are as Jaeger serves them. Limit: spans of Istio
ambient's waypoints are not told from sidecars'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from test_services.jaeger_thrift import ReceivedSpan

WORKLOAD, SERVICE, ENTRY = "workload", "service", "entry"
_POD = re.compile(r"([a-z0-9.-]+)-[a-z0-9]+")
_TEMPLATE_HASH = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{6,16}")
_INBOUND, _OUTBOUND = ("server", "consumer"), ("client", "producer")


class Node(NamedTuple):
    """`app`: of a workload its label `app`, of a service its name. `hosts`: of a service entry."""

    kind: str
    name: str
    namespace: str
    app: str = ""
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

    def workload(self, name: str, app: str = "") -> Node:
        """The one of this name, else a new one. `app`: its label, where it is not its name."""
        known = (node for node in self.nodes if (node.kind, node.name) == (WORKLOAD, name))
        return next(known, None) or self._node(Node(WORKLOAD, name, self.namespace, app or name))

    def service(self, name: str, *workloads: Node) -> Node:
        """A service and, behind it, its workloads; unless they are given, the one of the same name."""
        node = self._node(Node(SERVICE, name, self.namespace, name))
        for workload in workloads or (self.workload(name),):
            self._edge(node, workload)
        return node

    def entry(self, name: str, *hosts: str) -> Node:
        return self._node(Node(ENTRY, name, self.namespace, hosts=hosts))

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
    """From the parent's workload downstream: service entry or service, workload, service entry."""
    kind = span.tags.get("span.kind")
    app, namespace = _app(span)
    here = _of_pod(graph, parent) if parent is not None else []
    here = _hop(graph, here, _entries(graph, span) if kind in _INBOUND else [], shining)
    here = _hop(graph, here, _of_app(graph.nodes, SERVICE, app, namespace), shining)
    own = _of_app(_of_pod(graph, span), WORKLOAD, app, namespace) if kind in _INBOUND else None
    here = _hop(graph, here, _only_one(graph, here, app, namespace) if own is None else own, shining)
    _hop(graph, here, _entries(graph, span) if kind in _OUTBOUND else [], shining)


def _hop(graph: Graph, here: list[Node], stop: list[Node], shining: set[Node | Edge]) -> list[Node]:
    """To the nodes of `stop`, of which the first shines, with the edge between; a stop without nodes is left out."""
    shining.update((stop or here)[:1])
    between = [edge for edge in graph.edges if edge.source in here and edge.target in stop]
    # For TCP the graph may have the direction wrong, so that both are tried.
    between = between or [edge for edge in graph.edges if edge.source in stop and edge.target in here]
    shining.update(between[:1])
    return stop or here


def _parent(span: ReceivedSpan, trace: dict[int, ReceivedSpan]) -> ReceivedSpan | None:
    """The span of the first reference, if this trace has it.

    Jaeger puts a parent id that is in no reference before them all.
    """
    parent = (span.trace_id, span.parent_id)
    references = [(trace_id, span_id) for _, trace_id, span_id in span.references]
    if span.parent_id and parent not in references:
        references.insert(0, parent)
    return trace.get(references[0][1]) if references and references[0][0] == span.trace_id else None


def _of_pod(graph: Graph, span: ReceivedSpan) -> list[Node]:
    return [node for node in graph.nodes if node.kind == WORKLOAD and (node.name, node.namespace) == workload_of(span)]


def _of_app(nodes: Iterable[Node], kind: str, app: str, namespace: str) -> list[Node]:
    """Without a namespace an app is looked for in all of them."""
    return [node for node in nodes if (node.kind, node.app) == (kind, app) and namespace in ("", node.namespace)]


def _only_one(graph: Graph, here: list[Node], app: str, namespace: str) -> list[Node]:
    """A caller's span is not asked for its pod: the one workload of its app beside `here`, else in the whole graph.

    None where there are several, as there are while a canary runs.
    """
    beside = [edge.target for edge in graph.edges if edge.source in here]
    beside += [edge.source for edge in graph.edges if edge.target in here]
    found = (_of_app(nodes, WORKLOAD, app, namespace) for nodes in (beside, graph.nodes))
    return next((workloads for workloads in found if len(workloads) == 1), [])


def workload_of(span: ReceivedSpan) -> tuple[str, str] | None:
    """(name, namespace) by a sidecar's `node_id` (`sidecar~ip~pod.namespace~domain`), else by `hostname`
    and service.
    """
    if "node_id" in span.tags:
        parts = str(span.tags["node_id"]).split("~")
        pod, dot, namespace = parts[2].rpartition(".") if len(parts) > 2 else ("", "", "")
        return _workload(pod, namespace) if dot else None
    if "hostname" in span.process_tags:
        return _workload(str(span.process_tags["hostname"]), span.service.partition(".")[2].partition(".")[0])
    return None


def _workload(pod: str, namespace: str) -> tuple[str, str] | None:
    """`shop-6d8996bff-ztg6z`: the Deployment `shop`; `shop-0`: `shop`. None for a name that no pod has."""
    matched = _POD.fullmatch(pod)
    if matched is None:
        return None
    name, dash, last = matched[1].rpartition("-")
    return (name if dash and _TEMPLATE_HASH.fullmatch(last) else matched[1], namespace)


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
    name, address = span.tags.get("peer.hostname"), span.tags.get("peer.address")
    if not name and not address:
        return []
    host = str(name) if name else str(address).split(":")[0]
    return [node for node in graph.nodes if any(known.startswith(host) for known in node.hosts)]


def named(edges: Iterable[Edge]) -> list[str]:
    return [str(edge) for edge in edges]
