"""The other end of the benchmarks, a process of its own: a collector that takes everything, a server that answers GET.

POST and PUT: 202 (Datadog: 200 and JSON); below /kept the body is kept.
GET /bytes: bytes posted so far, before compression. GET /kept: how many spans the kept bodies hold,
decoded now (Jaeger's binary thrift), then forgotten. Any other GET: 200 and a small JSON text.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import urllib.request
from pathlib import Path
from typing import ClassVar

from test_services.jaeger_thrift import from_batch
from test_services.processes import Server, free_ports
from test_services.service import Service

ROOT = Path(__file__).parent.parent
ANSWER = b'{"id": 7, "name": "a small answer", "items": [1, 2, 3]}'


class Sink(Service):
    """Running: `url`."""

    name = "sink"
    port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def addresses(self) -> dict[str, str]:
        return {"BENCHMARK_SERVER": self.url}

    def bytes_posted(self) -> int:
        return self._ask("/bytes")

    def spans_kept(self) -> int:
        return self._ask("/kept")

    def _ask(self, path: str) -> int:
        with urllib.request.urlopen(self.url + path, timeout=300) as answer:
            return int(answer.read())

    def _launch(self, folder: Path) -> Server:
        (self.port,) = free_ports(1)
        program = [sys.executable, "-m", "benchmarks.sink", str(self.port)]
        return Server(program, folder, environment={"PYTHONPATH": str(ROOT)})

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False


class _Handler(socketserver.StreamRequestHandler):
    """As little HTTP as will do, so that what an agent adds to a request does not keep its client waiting."""

    disable_nagle_algorithm = True
    posted = 0
    kept: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        while line := self.rfile.readline():
            method, path, _ = line.split()
            size, zipped = 0, False
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                if header[:15].lower() == b"content-length:":
                    size = int(header[15:])
                elif header[:17].lower() == b"content-encoding:":
                    zipped = b"gzip" in header
            body = self.rfile.read(size)
            # gzip says at its end how long the body was
            _Handler.posted += int.from_bytes(body[-4:], "little") if zipped else size
            self.wfile.write(self.posting(path, body) if method in (b"POST", b"PUT") else self.getting(path))

    def posting(self, path: bytes, body: bytes) -> bytes:
        if path.startswith(b"/kept"):
            self.kept.append(body)
        if path.startswith(b"/v0."):  # as Datadog's agent does
            return _answer(b"200 OK", b'{"rate_by_service": {}}')
        return _answer(b"202 Accepted", b"")

    def getting(self, path: bytes) -> bytes:
        if path == b"/bytes":
            return _answer(b"200 OK", b"%d" % self.posted)
        if path == b"/kept":
            count = sum(len(from_batch(body)) for body in self.kept)
            self.kept.clear()
            return _answer(b"200 OK", b"%d" % count)
        return _answer(b"200 OK", ANSWER)


def _answer(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 100


if __name__ == "__main__":
    _Server(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
