"""HTTP within a deadline, against servers that behave, and that do not."""

from __future__ import annotations

import os
import socket
import time

import pytest

from autotrace.export.transport import Rejected, Unavailable
from autotrace.export.transport.http import Http
from test_services.processes import free_ports
from tests.export.collector import answering, closing_after_each, collecting, hanging, trickling

THRIFT = "application/x-thrift"


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_one_connection_carries_every_post() -> None:
    with collecting(answering(202)) as collector:
        http = Http(collector.url, THRIFT)
        for body in (b"one", b"two" * 100_000, b"three"):
            http.send(body, soon())
        http.close()
    assert collector.bodies == [b"one", b"two" * 100_000, b"three"]
    assert collector.connections == 1
    assert collector.heads[0].startswith(b"POST /api/traces HTTP/1.1\r\n")
    assert b"Content-Type: application/x-thrift" in collector.heads[0]


def test_a_connection_closed_while_idle_is_replaced_without_losing_the_post() -> None:
    with collecting(closing_after_each) as collector:
        http = Http(collector.url, THRIFT)
        for body in (b"one", b"two", b"three"):
            http.send(body, soon())
            time.sleep(0.05)  # until the server has closed the connection
        http.close()
    assert collector.bodies == [b"one", b"two", b"three"]


def test_a_long_answer_costs_the_connection_not_the_next_post() -> None:
    with collecting(answering(202, text=b"x" * 300_000)) as collector:
        http = Http(collector.url, THRIFT)
        http.send(b"one", soon())
        http.send(b"two", soon())
        http.close()
    assert collector.bodies == [b"one", b"two"]
    assert collector.connections == 2


def test_path_query_and_credentials_of_the_url_are_sent_and_the_credentials_never_printed() -> None:
    with collecting(answering(418, text=b"no coffee\nsecond line")) as collector:
        http = Http(f"http://me:s%40crt@127.0.0.1:{collector.port}/a/b?format=jaeger.thrift", THRIFT)
        with pytest.raises(Rejected) as raised:
            http.send(b"x", soon())
        http.close()
    assert collector.heads[0].startswith(b"POST /a/b?format=jaeger.thrift HTTP/1.1\r\n")
    assert b"Authorization: Basic bWU6c0BjcnQ=" in collector.heads[0]
    assert str(raised.value) == f"http://127.0.0.1:{collector.port}/a/b: 418 Reason no coffee"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_an_answer_of_not_now_is_unavailable(status: int) -> None:
    with collecting(answering(status)) as collector:
        http = Http(collector.url, THRIFT)
        with pytest.raises(Unavailable, match=f"{status} Reason"):
            http.send(b"x", soon())
        http.close()


@pytest.mark.parametrize("status", [301, 400, 404])
def test_an_answer_of_never_is_rejected(status: int) -> None:
    with collecting(answering(status)) as collector:
        http = Http(collector.url, THRIFT)
        with pytest.raises(Rejected, match=f"{status} Reason"):
            http.send(b"x", soon())
        http.close()


def test_a_refused_connection_is_one_line() -> None:
    port = free_ports(1)[0]
    with pytest.raises(Unavailable, match=f"^http://127.0.0.1:{port}/api/traces: Connection refused$"):
        Http(f"http://127.0.0.1:{port}/api/traces", THRIFT).send(b"x", soon())


@pytest.mark.parametrize("behaviour", [hanging, trickling])
def test_the_deadline_ends_a_post_whatever_the_server_does(behaviour: object) -> None:
    with (
        collecting(behaviour) as collector,  # type: ignore[arg-type]
        pytest.raises(Unavailable, match="no answer in time"),
    ):
        Http(collector.url, THRIFT).send(b"x", soon(0.3))


def test_a_server_that_takes_nothing_ends_with_the_deadline_too() -> None:
    with (
        collecting(lambda collector, connection: time.sleep(30)) as collector,
        pytest.raises(Unavailable, match="no answer in time"),
    ):
        Http(collector.url, THRIFT).send(b"x" * 50_000_000, soon(0.3))


def test_a_server_that_speaks_no_http_is_reported_and_the_next_post_connects_again() -> None:
    def ssh(collector: object, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with collecting(ssh) as collector:
        http = Http(collector.url, THRIFT)
        for _ in range(2):
            with pytest.raises(Unavailable, match="BadStatusLine"):
                http.send(b"x", soon())
        assert collector.connections == 2


@pytest.mark.parametrize("url", ["", "localhost:14268", "ftp://host/", "http:///api/traces"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="is not a URL such as"):
        Http(url, THRIFT)


def test_a_forked_child_lets_go_of_the_connection_and_the_parent_keeps_it() -> None:
    with collecting(answering(202)) as collector:
        http = Http(collector.url, THRIFT)
        http.send(b"parent", soon())
        child = os.fork()
        if not child:
            os._exit(0 if http.connection is None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        http.send(b"parent again", soon())
        http.close()
    assert collector.bodies == [b"parent", b"parent again"]
    assert collector.connections == 1
