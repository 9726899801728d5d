"""Two pictures drawn from the same spans: who talks to whom on the network, and who really works for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from examples.harness.relations import identity, parent_of
from examples.harness.screen import WIDTH, fitted, paint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from test_services.jaeger_thrift import ReceivedSpan

_LEFT = 48
_GAP = 3


class Edge(NamedTuple):
    source: str
    target: str
    label: str
    rank: int
    """0 HTTP, 1 database, 2 Kafka: the order in the picture, so that what is the same in both stands first."""


def network(spans: Sequence[ReceivedSpan]) -> list[Edge]:
    """The connections, as whoever watches sockets sees them: read from the addresses of the peers alone."""
    listening = {address: span.service for span in spans if (address := _listens_at(span))}
    return _in_order(
        Edge(span.service, listening.get(address) or _system(span), address, _rank(span))
        for span in spans
        if (address := _connects_to(span))
    )


def business(spans: Sequence[ReceivedSpan]) -> list[Edge]:
    """Parents and children of different services, and what each service asks of its database."""
    return _in_order(edge for span in spans if (edge := _meant(span, parent_of(span, spans))))


def _meant(span: ReceivedSpan, parent: ReceivedSpan | None) -> Edge | None:
    if parent is not None and parent.service != span.service:
        topic = span.tags.get("message_bus.destination")
        return Edge(parent.service, span.service, f"topic {topic}" if topic else identity(span)[1], _rank(span))
    return Edge(span.service, _system(span), span.name, _rank(span)) if "db.statement" in span.tags else None


def side_by_side(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """Lines: the network's edges on the left, the trace's on the right."""
    in_time = sorted(spans, key=lambda span: span.start_us)
    left, right = network(in_time), business(in_time)
    yield paint(fitted("what the network shows", _LEFT) + "what the trace shows", "bold")
    yield f"{'─' * (_LEFT - _GAP)}{' ' * _GAP}{'─' * (WIDTH - _LEFT)}"
    for row in range(max(len(left), len(right))):
        yield (_drawn(left, row, _LEFT, "red") + _drawn(right, row, WIDTH - _LEFT, "green")).rstrip()


def _drawn(edges: list[Edge], row: int, width: int, kafka: str) -> str:
    if row >= len(edges):
        return " " * width
    edge = edges[row]
    text = fitted(f"{edge.source:<12} ──▶ {edge.target:<12} {edge.label}", width)
    return paint(text, kafka) if edge.rank == 2 else text


def _in_order(edges: Iterable[Edge]) -> list[Edge]:
    return sorted(dict.fromkeys(edges), key=lambda edge: edge.rank)


def _rank(span: ReceivedSpan) -> int:
    return 2 if "message_bus.destination" in span.tags else 1 if "db.statement" in span.tags else 0


def _listens_at(span: ReceivedSpan) -> str:
    """host:port where a server's span was asked."""
    return urlsplit(str(span.tags.get("http.url", ""))).netloc if span.tags.get("span.kind") == "server" else ""


def _connects_to(span: ReceivedSpan) -> str:
    return "" if span.tags.get("span.kind") == "server" else str(span.tags.get("peer.address", ""))


def _system(span: ReceivedSpan) -> str:
    return str(span.tags.get("db.system.name") or span.tags.get("messaging.system") or "somebody")
