"""What the caller sent along leaves in lines that servers take, all of it, by every client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from opentelemetry import trace

from autotrace.propagation import header_lines
from autotrace.tracing import current, propagate
from tests.http_client import http_peer
from tests.http_client.clients import CLIENTS
from tests.http_client.http_peer import Peer
from tests.recorded import Recorded

Get = Callable[[str, Mapping[str, str]], int]
every_client = pytest.mark.parametrize("get", CLIENTS.values(), ids=CLIENTS)
PARENT = ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01")
SERVERS_LIMIT = 8190
"""Bytes of a header's line that gunicorn, Apache and aiohttp take."""


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


@contextmanager
def serving(*headers: tuple[str, str]) -> Iterator[None]:
    """As within a request that came with `headers`."""
    remote = propagate.extract_http([PARENT, *headers])
    token = current.enter(trace.get_tracer("program").start_span("served"), remote)  # type: ignore[arg-type]
    try:
        yield
    finally:
        current.leave(token)


def lines(peer: Peer, name: str) -> list[str]:
    return [value for key, value in peer.received[-1].headers if key.lower() == name]


def members(count: int, size: int, prefix: str = "k") -> str:
    return ",".join(f"{prefix}{number:02d}=".ljust(size, "v") for number in range(count))


@every_client
@pytest.mark.parametrize(
    "arrived",
    [
        [members(32, 255)],  # one header of W3C's limit, as one server takes it
        [members(16, 255), members(16, 255, "m")],
        [members(3, 2700)],
        [members(64, 60)],
        [members(1, 7990)],
    ],
    ids=["one of 8191", "two of 4095", "three long members", "small", "one long member"],
)
def test_baggage_arrives_whole_in_lines_that_servers_take(
    peer: Peer, spans: Recorded, get: Get, arrived: list[str]
) -> None:
    with serving(*(("baggage", text) for text in arrived)):
        get(peer.url + "/x", {"Baggage": "stale=1"})
    sent = lines(peer, "baggage")
    assert ",".join(sent) == ",".join(arrived)
    assert all(len(f"baggage: {line}\r\n") <= SERVERS_LIMIT for line in sent)


@every_client
def test_a_long_tracestate_loses_its_oldest_members(peer: Peer, spans: Recorded, get: Get) -> None:
    state = members(32, 255)
    get(peer.url + "/x", {"traceparent": PARENT[1], "tracestate": state})
    (sent,) = lines(peer, "tracestate")
    assert state.startswith(sent + ",")
    assert len(f"tracestate: {sent}\r\n") <= SERVERS_LIMIT


@every_client
def test_a_value_that_no_line_holds_stays_here(peer: Peer, spans: Recorded, get: Get) -> None:
    with serving(("x-request-id", "r" * 8192), ("sw8", "s"), ("baggage", members(1, 8100))):
        assert get(peer.url + "/x", {}) == 200
    assert (lines(peer, "x-request-id"), lines(peer, "sw8"), lines(peer, "baggage")) == ([], ["s"], [])


def test_no_line_is_longer_than_the_limit_and_no_member_is_cut() -> None:
    for sizes in ([1, 8000, 1], [4000, 4000, 1], [7999, 1], [8001, 3]):
        text = ",".join("v" * size for size in sizes)
        sent = header_lines.lines("baggage", text)
        assert len({name for name, _ in sent}) == len(sent)
        assert ",".join(value for _, value in sent).split(",") == [
            part for part in text.split(",") if len(part) <= 8000
        ]
        assert max(len(value) for _, value in sent) <= header_lines.MAX_LINE
