"""Answers of collectors and of the proxies before them, in every form that HTTP allows: a 2xx is a delivery, once."""

from __future__ import annotations

import socket
import time

import pytest

from autotrace.export.transport import Rejected, Unavailable
from autotrace.export.transport.http import Http
from tests.export.collector import Collector, collecting, raw

THRIFT = "application/x-thrift"
OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
ENDING_BY_CLOSING = {
    "HTTP/1.0": b"HTTP/1.0 202 Accepted\r\nServer: old\r\n\r\n",
    "HTTP/1.0 with a body": b"HTTP/1.0 200 OK\r\n\r\nthanks",
    "Connection: close": b"HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\n",
    "with a length": b"HTTP/1.1 202 Accepted\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nok",
    "no length at all": b"HTTP/1.1 202 Accepted\r\n\r\n",
    "a length that is not kept": b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nok",
}
KEEPING = {
    "a length": OK,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "no chunk but the last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "keep-alive of HTTP/1.0": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "103 first": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
    "no phrase": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
}


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def twice(collector: Collector) -> None:
    http = Http(collector.url, THRIFT)
    for body in (b"one", b"two"):
        http.send(body, soon())
    http.close()
    assert collector.bodies == [b"one", b"two"]


@pytest.mark.parametrize("answer", ENDING_BY_CLOSING.values(), ids=ENDING_BY_CLOSING)
def test_an_answer_that_ends_by_closing_is_a_delivery(answer: bytes) -> None:
    with collecting(raw(answer, closing=True)) as collector:
        twice(collector)
        assert collector.connections == 2


@pytest.mark.parametrize("answer", KEEPING.values(), ids=KEEPING)
def test_an_answer_that_ends_by_itself_keeps_the_connection(answer: bytes) -> None:
    with collecting(raw(answer)) as collector:
        twice(collector)
        assert collector.connections == 1


def test_a_body_that_never_comes_makes_no_failure_of_a_delivery() -> None:
    with collecting(raw(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n")) as collector:
        Http(collector.url, THRIFT).send(b"one", soon(0.2))
        assert collector.bodies == [b"one"]


def test_a_farewell_on_an_idle_connection_is_no_answer_to_the_next_post() -> None:
    """HAProxy says 408 when it closes an idle connection."""

    def behave(collector: Collector, connection: socket.socket) -> None:
        if collector.read(connection):
            connection.sendall(OK)
            time.sleep(0.05)
            connection.sendall(b"HTTP/1.1 408 Request Time-out\r\nConnection: close\r\n\r\n")
            connection.close()

    with collecting(behave) as collector:
        http = Http(collector.url, THRIFT)
        http.send(b"one", soon())
        time.sleep(0.15)
        http.send(b"two", soon())
        assert collector.bodies == [b"one", b"two"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 ", b"HTTP/1.1 abc Odd\r\n\r\n", b"HTTP/1.1 202 Accepted\r\n" + b"x: y\r\n" * 20_000, b"hello"],
    ids=["nothing", "half a line", "no status", "an endless head", "no HTTP"],
)
def test_what_is_no_answer_is_unavailable(answer: bytes) -> None:
    with collecting(raw(answer, closing=True)) as collector:
        http = Http(collector.url, THRIFT)
        for _ in range(2):
            with pytest.raises(Unavailable):
                http.send(b"one", soon())


def test_the_text_of_a_refusal_is_one_short_line() -> None:
    answer = b"HTTP/1.1 400 \x1b[2JBad\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nnot this\r\n" + b"0\r\n\r\n"
    with collecting(raw(answer, b"HTTP/1.0 400 Bad\r\n\r\n" + b"y" * 100_000, closing=True)) as collector:
        http = Http(collector.url, THRIFT)
        with pytest.raises(Rejected, match=r"400 .*Bad not this$"):
            http.send(b"one", soon())
        with pytest.raises(Rejected, match=r"400 Bad y{200}$"):
            http.send(b"one", soon())


def test_a_path_is_sent_as_a_url_has_it() -> None:
    with collecting(raw(OK)) as collector:
        Http(f"http://127.0.0.1:{collector.port}/a b/é?c=%20d", THRIFT).send(b"one", soon())
        assert collector.heads[0].startswith(b"POST /a%20b/%C3%A9?c=%20d HTTP/1.1\r\n")
