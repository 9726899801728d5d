"""A stand-in for Jaeger that keeps the spans it receives: Thrift over HTTP and UDP, decoded by thriftpy2.

For tests and the demo, on 127.0.0.1. Nothing is forgiven: bytes that do not decode, or are left over, are in `errors`,
and wait() raises those.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from test_services.jaeger_thrift import ReceivedSpan, from_batch, from_message

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_ANY_SIZE = 65_536


class Receiver:
    """It listens from construction to close(). `spans` are in order of arrival, `packets` are the sizes of UDP packets.

    `strict` as in jaeger_thrift, because other clients than autotrace write a tag twice, or without a value.
    """

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict
        self.spans: list[ReceivedSpan] = []
        self.packets: list[int] = []
        self.bodies: list[bytes] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._http = _HttpServer(self)
        self._sockets = {protocol: _udp_socket() for protocol in ("compact", "binary")}
        self._closing = False
        self._threads = [threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)]
        self._threads += [
            threading.Thread(target=self._receive, args=(protocol, one), daemon=True)
            for protocol, one in self._sockets.items()
        ]
        for thread in self._threads:
            thread.start()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/api/traces"

    @property
    def udp_port(self) -> int:
        """Compact protocol."""
        return int(self._sockets["compact"].getsockname()[1])

    @property
    def udp_binary_port(self) -> int:
        return int(self._sockets["binary"].getsockname()[1])

    def wait(self, count: int, seconds: float = 10) -> list[ReceivedSpan]:
        """The spans, once there are `count`. Otherwise an AssertionError that names the spans that came."""
        return self.wait_for(lambda spans: len(spans) >= count, seconds)

    def wait_for(self, predicate: Callable[[list[ReceivedSpan]], bool], seconds: float = 10) -> list[ReceivedSpan]:
        """The spans, once predicate(spans) is true. Otherwise an AssertionError that names the spans that came."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self.errors) or predicate(self.spans), seconds)
            if self.errors:
                raise AssertionError(f"received a body that does not decode: {self.errors}")
            if not predicate(self.spans):
                names = [f"{span.service}: {span.name}" for span in self.spans]
                raise AssertionError(f"after {seconds:g} s there are {len(names)} spans: {names[-20:]}")
            return list(self.spans)

    def clear(self) -> None:
        """Forget everything received."""
        with self._changed:
            for kept in (self.spans, self.packets, self.bodies, self.errors):
                kept.clear()

    def close(self) -> None:
        self._closing = True
        self._http.shutdown()
        self._http.server_close()
        for one in self._sockets.values():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", one.getsockname())
        for thread in self._threads:
            thread.join(5)
        for one in self._sockets.values():
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take(self, decode: Callable[[bytes, bool], list[ReceivedSpan]], data: bytes, packet: bool) -> bool:
        """Keep the spans in `data`. False if it does not decode."""
        try:
            spans, problem = decode(data, self.strict), ""
        except Exception as error:
            spans, problem = [], f"{type(error).__name__}: {error} in {len(data)} bytes {data[:40]!r}"
        with self._changed:
            self.spans += spans
            (self.packets.append(len(data)) if packet else self.bodies.append(data))
            if problem:
                self.errors.append(problem)
            self._changed.notify_all()
        return not problem

    def _receive(self, protocol: str, one: socket.socket) -> None:
        while True:
            data = one.recv(_ANY_SIZE)
            if self._closing:
                return
            self.take(lambda packet, strict: from_message(packet, protocol, strict), data, packet=True)


def _udp_socket() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)  # the kernel grants as much as it allows
    one.bind(("127.0.0.1", 0))
    return one


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        """202 for spans, as Jaeger answers. 400: they do not decode, 404: another path, 415: another type."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.partition("?")[0] != "/api/traces":
            self._answer(404)
        elif self.headers.get("Content-Type") not in ("application/x-thrift", "application/vnd.apache.thrift.binary"):
            self._answer(415)
        else:
            self._answer(202 if self.server.receiver.take(from_batch, body, packet=False) else 400)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
