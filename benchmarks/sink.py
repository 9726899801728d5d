"""A collector that takes everything and an HTTP server that answers GET: the other end of the benchmarks, in a process of its own.

POST: 202; below /kept the body is kept. GET /bytes: bytes posted so far. GET /kept: how many spans the kept bodies hold,
decoded now (Jaeger's binary thrift), then forgotten. Any other GET: 200 and a small JSON text.
"""

from __future__ import annotations

import socket
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from real_parts.jaeger_thrift import from_batch
from real_parts.part import Part
from real_parts.processes import Server, free_ports

ROOT = Path(__file__).parent.parent
ANSWER = b'{"id": 7, "name": "a small answer", "items": [1, 2, 3]}'


class Sink(Part):
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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the client must not wait for a delayed acknowledgement
    posted = 0
    kept: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self._body()
        _Handler.posted += len(body)
        if self.path.startswith("/kept"):
            self.kept.append(body)
        self._answer(202, b"")

    def do_GET(self) -> None:
        if self.path == "/bytes":
            self._answer(200, b"%d" % self.posted)
        elif self.path == "/kept":
            self._answer(200, b"%d" % sum(len(from_batch(body)) for body in self.kept))
            self.kept.clear()
        else:
            self._answer(200, ANSWER)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
