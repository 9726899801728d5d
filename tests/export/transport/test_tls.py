"""HTTPS to a collector: certificates are checked, deadlines hold, and what the program puts into `socket` or `ssl` is
not met.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from autotrace.export.transport import Unavailable
from autotrace.export.transport.http import Http
from tests.export.collector import Behaviour, Collector, answering, collecting

THRIFT = "application/x-thrift"
Serving = Callable[[Behaviour], Collector]


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """Makes a collector on localhost that speaks TLS. Programs trust its authority by SSL_CERT_FILE."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    made: list[Collector] = []

    def make(behaviour: Behaviour) -> Collector:
        def encrypted(collector: Collector, connection: socket.socket) -> None:
            behaviour(collector, context.wrap_socket(connection, server_side=True))

        made.append(Collector(encrypted))
        return made[-1]

    yield make
    for one in made:
        one.close()


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_posts_of_any_size_go_over_one_connection(serving: Serving) -> None:
    collector = serving(answering(202, text=b"x" * 40_000))
    http = Http(f"https://localhost:{collector.port}/api/traces", THRIFT)
    bodies = [b"one", b"two" * 500_000, b"three"]
    for body in bodies:
        http.send(body, soon())
    http.close()
    assert collector.bodies == bodies
    assert collector.connections == 1


def test_a_name_that_is_not_the_certificates_is_unavailable(serving: Serving) -> None:
    collector = serving(answering(202))
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        Http(f"https://127.0.0.1:{collector.port}/api/traces", THRIFT).send(b"x", soon())
    assert collector.bodies == []


def test_a_server_that_never_shakes_hands_costs_the_deadline() -> None:
    with collecting(lambda collector, connection: time.sleep(5)) as collector:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="no answer in time"):
            Http(f"https://127.0.0.1:{collector.port}/", THRIFT).send(b"x", soon(0.3))
        assert time.monotonic() - began < 3


def test_a_server_that_speaks_no_tls_is_unavailable() -> None:
    with (
        collecting(lambda collector, connection: connection.sendall(b"SSH-2.0-x\r\n")) as collector,
        pytest.raises(Unavailable),
    ):
        Http(f"https://127.0.0.1:{collector.port}/", THRIFT).send(b"x", soon())


def test_a_connection_that_the_server_closes_is_replaced(serving: Serving) -> None:
    def behave(collector: Collector, connection: socket.socket) -> None:
        if collector.read(connection):
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            connection.close()

    collector = serving(behave)
    http = Http(f"https://localhost:{collector.port}/", THRIFT)
    for body in (b"one", b"two"):
        http.send(body, soon())
        time.sleep(0.05)
    assert collector.bodies == [b"one", b"two"]


def test_a_guard_in_socket_and_ssl_is_not_met(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no network in unit tests")

    collector = serving(answering(202))
    for place, name in ((socket.socket, "connect"), (socket, "create_connection"), (socket, "getaddrinfo")):
        monkeypatch.setattr(place, name, refuse)
    monkeypatch.setattr(ssl.SSLSocket, "connect", refuse)
    Http(f"https://localhost:{collector.port}/", THRIFT).send(b"x", soon())
    assert collector.bodies == [b"x"]


def test_a_fork_amid_an_answer_neither_hangs_nor_disturbs_it(serving: Serving) -> None:
    reading = threading.Event()

    def slow(collector: Collector, connection: socket.socket) -> None:
        while collector.read(connection):
            reading.set()
            time.sleep(0.5)
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    collector = serving(slow)
    http = Http(f"https://localhost:{collector.port}/", THRIFT)
    sender = threading.Thread(target=http.send, args=(b"x", soon()))
    sender.start()
    assert reading.wait(5)
    child = os.fork()
    if not child:
        os._exit(0 if http.connection is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    sender.join()
    http.send(b"y", soon())
    assert (collector.bodies, collector.connections) == ([b"x", b"y"], 1)
