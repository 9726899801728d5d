"""A collector for Envoy's tracers: Zipkin v2 JSON and OTLP over HTTP, decoded into the same spans as the receiver's.

For tests and the demo, on 127.0.0.1. Bytes that do not decode are in `errors`, and wait() raises those.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from test_services import otlp
from test_services.jaeger_thrift import ReceivedSpan

if TYPE_CHECKING:
    from typing_extensions import Self


def from_zipkin(body: bytes) -> list[ReceivedSpan]:
    """The spans of a POST to /api/v2/spans."""
    return [_span(span) for span in json.loads(body)]


def _span(span: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        service=span["localEndpoint"]["serviceName"],
        process_tags={},
        trace_id=int(span["traceId"], 16),
        span_id=int(span["id"], 16),
        parent_id=int(span.get("parentId") or "0", 16),
        name=span["name"],
        start_us=span["timestamp"],
        duration_us=span["duration"],
        flags=1,
        tags={**span["tags"], "span.kind": span["kind"].lower()},
        logs=[],
        references=[],
    )


_DECODERS = {"/api/v2/spans": from_zipkin, "/v1/traces": otlp.from_request}


class SidecarSpans:
    """It listens from construction to close(). `spans` are in order of arrival."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.errors: list[str] = []
        self.changed = threading.Condition()
        self._http = _HttpServer(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def wait(self, count: int, seconds: float = 10) -> list[ReceivedSpan]:
        """The spans, once there are `count`. Otherwise an AssertionError that names the spans that came."""
        with self.changed:
            self.changed.wait_for(lambda: bool(self.errors) or len(self.spans) >= count, seconds)
            if self.errors:
                raise AssertionError(f"received a body that does not decode: {self.errors}")
            if len(self.spans) < count:
                names = [f"{span.service}: {span.name}" for span in self.spans]
                raise AssertionError(f"after {seconds:g} s there are {len(names)} spans of sidecars: {names}")
            return list(self.spans)

    def take(self, path: str, body: bytes) -> bool:
        """Keep the spans in `body`. False if it does not decode."""
        try:
            spans, problem = _DECODERS[path](body), ""
        except Exception as error:
            spans, problem = [], f"{type(error).__name__}: {error} at {path} in {len(body)} bytes {body[:40]!r}"
        with self.changed:
            self.spans += spans
            self.errors += [problem] if problem else []
            self.changed.notify_all()
        return not problem

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, collector: SidecarSpans) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.collector = collector


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        taken = self.server.collector.take(self.path, self._body())
        self.send_response(200 if taken else 400)  # for Envoy a 202 from an OTLP collector is a failure
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *args: Any) -> None:
        pass
