"""The promises of every HTTP server, whichever library serves. Inherit HttpServer, and start the server in `url`.

The server serves these paths, on a real socket:
    /hello/<name>      `hello <name>`; while at it starts a span `inside`
    /call              GETs the URL in ?url= with requests, answers with its text
    /boom              raises ZeroDivisionError
    /teapot            answers 418
    /stream            two parts, `a` and `b`; while making the second starts a span `streaming`
    /endless           parts of 64 KiB, and more than sockets buffer
    anything else      404
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from opentelemetry.context.context import Context

from autotrace.setting_types import any_of
from autotrace.tracing import current, propagate
from tests.http_client import http_peer
from tests.recorded import Recorded, is_child, tags

TRACE, PARENT = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"
B3 = {"X-B3-TraceId": TRACE, "X-B3-SpanId": PARENT, "X-B3-Sampled": "1"}


def finished(spans: Recorded, count: int) -> list[Any]:
    """The server spans, once there are `count`: they end after the client has its answer."""
    deadline = time.monotonic() + 5
    while len(spans.servers) < count and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(spans.servers) == count, [span.name for span in spans]
    return spans.servers


def serving(server: Any) -> Iterator[str]:
    """A socketserver in a thread of its own; its URL."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """For a client within this process whose spans are of no interest."""
    token = current.put(Context({current.SUPPRESS_KEY: True}))
    try:
        yield
    finally:
        current.leave(token)


def connection_to(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)


class HttpServer:
    component: str
    routes = True
    """Does the server know routes, and name its spans by them?"""
    hello_route, boom_route, endless_route = "/hello/<name>", "/boom", "/endless"
    answers_failures = True
    """Is an exception answered by 500? Else the connection is closed."""

    @pytest.fixture
    def url(self) -> Iterator[str]:
        raise NotImplementedError

    def ask(self, url: str, target: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, str]:
        """(status, text) of a request by a client that is not traced."""
        with untraced(), contextlib.closing(connection_to(url)) as connection:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def named(self, method: str, route: str) -> str:
        return f"{method} {route}" if self.routes else method

    def test_a_request_is_one_server_span(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/hello/bob?token=s3cret&x=1", {"User-Agent": "me"}) == (200, "hello bob")
        (span,) = finished(spans, 1)
        assert span.name == self.named("GET", self.hello_route)
        known = tags(span)
        assert known["component"] == self.component
        assert known["http.url"] == url + "/hello/bob?token=REDACTED&x=1"
        assert (known["url.path"], known["url.query"], known["url.scheme"]) == (
            "/hello/bob",
            "token=REDACTED&x=1",
            "http",
        )
        assert (known["http.method"], known["http.request.method"]) == ("GET", "GET")
        assert (known["http.status_code"], known["http.response.status_code"]) == (200, 200)
        assert known.get("http.route") == (self.hello_route if self.routes else None)
        assert (known["server.address"], known["server.port"]) == ("127.0.0.1", int(url.rpartition(":")[2]))
        assert known["client.address"] == "127.0.0.1"
        assert known["user_agent.original"] == "me"
        assert "error" not in known

    def test_it_is_the_child_of_its_caller(self, url: str, spans: Recorded) -> None:
        self.ask(url, "/hello/bob", B3)
        (span,) = finished(spans, 1)
        assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}") == (TRACE, PARENT)

    def test_a_call_to_it_from_a_traced_client_is_one_trace(self, url: str, spans: Recorded) -> None:
        assert requests.get(url + "/hello/bob", timeout=5).text == "hello bob"
        (server,) = finished(spans, 1)
        (client,) = spans.clients
        assert is_child(server, client)

    def test_it_is_current_while_the_request_is_served(self, url: str, spans: Recorded) -> None:
        self.ask(url, "/hello/bob")
        (server,) = finished(spans, 1)
        (inside,) = [span for span in spans if span.name == "inside"]
        assert is_child(inside, server)

    def test_what_is_called_meanwhile_joins_the_trace_and_gets_the_mesh_headers(
        self, url: str, spans: Recorded
    ) -> None:
        with http_peer.peer() as peer:
            target = "/call?url=" + quote(peer.url + "/there")
            assert self.ask(url, target, {**B3, "x-request-id": "a-b-9"}) == (200, "hello")
        (server,) = finished(spans, 1)
        (client,) = spans.clients
        assert is_child(client, server)
        assert peer.received[0].header("x-request-id") == "a-b-9"
        assert peer.received[0].header("X-B3-TraceId") == TRACE
        assert peer.received[0].header("X-B3-ParentSpanId") == f"{server.span_id:016x}"

    def test_an_exception_is_recorded(self, url: str, spans: Recorded, capfd: pytest.CaptureFixture[str]) -> None:
        if self.answers_failures:
            assert self.ask(url, "/boom")[0] == 500
        else:
            with pytest.raises(http.client.RemoteDisconnected):
                self.ask(url, "/boom")
        (span,) = finished(spans, 1)
        assert span.name == self.named("GET", self.boom_route)
        known = tags(span)
        assert (known["error"], known["error.type"]) == (True, "ZeroDivisionError")
        assert known["http.status_code"] == 500
        assert "boom" in [function for _, _, function in span.failure.frames]

    def test_a_client_s_mistake_is_no_error_of_the_server(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/teapot")[0] == 418
        (span,) = finished(spans, 1)
        assert tags(span)["http.status_code"] == 418
        assert "error" not in tags(span)

    def test_a_path_that_no_route_has_is_in_no_name(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/no/such/4711")[0] == 404
        (span,) = finished(spans, 1)
        assert span.name == "GET"
        assert tags(span)["http.status_code"] == 404

    def test_the_span_covers_a_streamed_body(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/stream") == (200, "ab")
        (server,) = finished(spans, 1)
        (streaming,) = [span for span in spans if span.name == "streaming"]
        assert is_child(streaming, server)
        assert server.end_time >= streaming.end_time
        assert spans.index(streaming) < spans.index(server)

    def test_a_client_that_hangs_up_ends_the_span(self, url: str, spans: Recorded) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        finished(spans, 1)

    def test_a_client_that_hangs_up_is_no_error(self, url: str, spans: Recorded) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # an RST, not a mere FIN
            connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1")
        (span,) = finished(spans, 1)
        assert span.name == self.named("GET", self.endless_route)
        assert "error" not in tags(span)

    def test_requests_side_by_side_do_not_mix(self, url: str, spans: Recorded) -> None:
        ids = [f"{n:032x}" for n in range(1, 9)]
        threads = [
            threading.Thread(target=self.ask, args=(url, "/hello/bob", {**B3, "X-B3-TraceId": trace})) for trace in ids
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        servers = finished(spans, 8)
        assert sorted(f"{span.trace_id:032x}" for span in servers) == ids
        inside = {span.trace_id: span for span in spans if span.name == "inside"}
        assert all(is_child(inside[server.trace_id], server) for server in servers)

    def test_a_request_that_says_nothing_of_a_trace_starts_one(self, url: str, spans: Recorded) -> None:
        self.ask(url, "/hello/a")
        self.ask(url, "/hello/b")
        first, second = finished(spans, 2)
        assert (first.parent_id, second.parent_id) == (0, 0)
        assert first.trace_id != second.trace_id

    def test_headers_that_are_garbage_break_nothing(self, url: str, spans: Recorded) -> None:
        garbage = {"traceparent": "\xff\xfe", "X-B3-TraceId": "zz", "b3": "-", "baggage": "=;,", "x-request-id": ""}
        assert self.ask(url, "/hello/bob", garbage) == (200, "hello bob")
        (span,) = finished(spans, 1)
        assert span.parent_id == 0

    def test_a_url_that_is_left_alone_has_no_span(
        self, url: str, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(propagate, "_excluded", any_of(("/teapot*",)))
        assert self.ask(url, "/teapot?x=1")[0] == 418
        assert self.ask(url, "/hello/bob") == (200, "hello bob")
        (span,) = finished(spans, 1)
        assert tags(span)["url.path"] == "/hello/bob"
