"""A call and its exchanges, seen across libraries: what belongs to the call in progress, and for how long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest
import requests
import urllib3

from autotrace.http_client.call import Call
from autotrace.http_client.exchange import Exchange
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer
from tests.recorded import Recorded, tags


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


def test_an_exchange_that_nobody_holds_ends_its_span(spans: Recorded) -> None:
    span = Call("requests", None, "http://h/").start_exchange("GET")
    assert span is not None
    exchange = Exchange(span, "here")
    assert spans == []
    del exchange
    assert spans == [span]


def test_a_thread_that_outlives_the_call_it_was_started_in_makes_calls_of_its_own(peer: Peer, spans: Recorded) -> None:
    """It runs in the context of that call, as asyncio.to_thread() does, though the call sends nothing any more."""
    over = threading.Event()

    def later() -> None:
        over.wait(5)
        with urllib3.HTTPConnectionPool("127.0.0.1", peer.port) as pool:
            pool.request("GET", "/later")

    threads = []

    def body() -> Iterator[bytes]:
        threads.append(threading.Thread(target=copy_context().run, args=(later,)))
        threads[0].start()
        yield b"a"

    urllib3.PoolManager().request("POST", peer.url + "/outer", body=body())
    over.set()
    threads[0].join()
    assert [tags(span)["http.url"] for span in spans] == [peer.url + "/outer", peer.url + "/later"]
    assert "http.request.resend_count" not in tags(spans[1])


def test_an_adapter_used_in_the_body_of_another_request_makes_a_call_of_its_own(peer: Peer, spans: Recorded) -> None:
    inner = requests.Request("GET", peer.url + "/inner").prepare()

    def body() -> Iterator[bytes]:
        yield b"a"
        adapter = requests.adapters.HTTPAdapter()
        assert adapter.send(inner).content == b"hello"

    requests.post(peer.url + "/outer", data=body())
    first, second = spans
    assert [tags(span)["http.url"] for span in spans] == [peer.url + "/inner", peer.url + "/outer"]
    assert [tags(span)["component"] for span in spans] == ["requests", "requests"]
    assert first.parent_id == second.span_id
