"""A collector with a chosen behaviour: it answers a status, hangs, trickles, or closes its connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[["Collector", socket.socket], None]


class Collector:
    """It serves each connection with `behaviour`, on a thread of its own. `bodies` are the complete POSTs, in order."""

    def __init__(self, behaviour: Behaviour, port: int = 0) -> None:
        self.behaviour = behaviour
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/traces"

    def read(self, connection: socket.socket) -> bool:
        """One request into `bodies`. False at the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        self.heads.append(head)
        self.bodies.append(body)
        return True

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            self.behaviour(self, connection)
        except OSError:
            pass


def answering(*statuses: int, text: bytes = b"") -> Behaviour:
    """Answer these statuses in turn, on all connections together; then the last one for ever."""
    left = list(statuses)

    def behave(collector: Collector, connection: socket.socket) -> None:
        while collector.read(connection):
            status = left.pop(0) if len(left) > 1 else left[0]
            connection.sendall(b"HTTP/1.1 %d Reason\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))

    return behave


def hanging(collector: Collector, connection: socket.socket) -> None:
    """Take the request and never answer."""
    while collector.read(connection):
        pass


def trickling(collector: Collector, connection: socket.socket) -> None:
    """Send a byte of an endless response now and then, so that no single read ever times out."""
    collector.read(connection)
    connection.sendall(b"HTTP/1.1 202 ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def closing_after_each(collector: Collector, connection: socket.socket) -> None:
    """Close the connection after the response, unannounced, as a server does that has a short idle timeout."""
    if collector.read(connection):
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        connection.close()


def raw(*answers: bytes, closing: bool = False) -> Behaviour:
    """Give these answers in turn, on all connections together; then the last one for ever."""
    left = list(answers)

    def behave(collector: Collector, connection: socket.socket) -> None:
        while collector.read(connection):
            connection.sendall(left.pop(0) if len(left) > 1 else left[0])
            if closing:
                connection.close()
                return

    return behave


@contextmanager
def collecting(behaviour: Behaviour, port: int = 0) -> Iterator[Collector]:
    collector = Collector(behaviour, port)
    try:
        yield collector
    finally:
        collector.close()
