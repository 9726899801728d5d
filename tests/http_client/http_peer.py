"""A small HTTP server on a plain socket, so that no patch traces it: answers by its table and keeps the requests."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple


class Received(NamedTuple):
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that may come once only."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, values
        return values[0] if values else None


class Peer:
    """`answers`: target -> raw responses, sent one after the other, the last one again and again.

    b"" hangs up; b"hold" sends nothing until the peer is closed.
    """

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.received: list[Received] = []
        self.answers: dict[str, list[bytes]] = {}
        self.held = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def answer(self, target: str, *answers: bytes) -> str:
        self.answers[target] = list(answers)
        return self.url + target

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                method, target, _ = line.decode().split(" ")
                headers = []
                while (line := stream.readline().strip()) != b"":
                    name, _, value = line.decode("latin-1").partition(":")
                    headers.append((name, value.strip()))
                self.received.append(Received(method, target, headers, _body(stream, dict(headers))))
                answers = self.answers.get(target, [ok("hello")])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if answer == b"hold":
                    self.held.wait(10)
                    return
                connection.sendall(answer)
                if b"Connection: close" in answer or not answer:
                    return

    def close(self) -> None:
        self.held.set()
        self.listener.close()


def _body(stream: object, headers: dict[str, str]) -> bytes:
    read, readline = stream.read, stream.readline  # type: ignore[attr-defined]
    if headers.get("Transfer-Encoding") != "chunked":
        return bytes(read(int(headers.get("Content-Length", 0))))
    parts = []
    while size := int(readline(), 16):
        parts.append(read(size))
        readline()
    readline()
    return b"".join(parts)


def ok(text: str = "", *lines: str) -> bytes:
    return answer(200, text, *lines)


def answer(status: int, text: str = "", *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", *lines))
    return f"{head}\r\n{text}".encode()


def redirect(target: str, status: int = 302) -> bytes:
    return answer(status, "moved", f"Location: {target}")


CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
PART = b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhello"
"""The rest never comes."""
TRUNCATED = b"HTTP/1.1 200 X\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhello"
TRUNCATED_CHUNKS = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n5\r\nwo"


@contextlib.contextmanager
def peer() -> Iterator[Peer]:
    server = Peer()
    try:
        yield server
    finally:
        server.close()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
