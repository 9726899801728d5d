"""The promises of every HTTP client, whichever library it is. Inherit HttpClient and write get() and open()."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach, set_value

from autotrace.propagation.context import Remote
from autotrace.tracing import current, propagate
from autotrace.tracing.current import SUPPRESS_KEY
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer, answer, free_port, ok, redirect
from tests.recorded import Recorded, is_child, tags

OLD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class HttpClient:
    component: str
    connection_error: type[Exception]
    read_error: type[Exception]
    reads_ahead = False
    """A short body arrives, and the span ends, before the program asks for the body."""
    misses_the_end = False
    """The library itself accepts a body that is shorter than its Content-Length."""

    @pytest.fixture
    def peer(self) -> Iterator[Peer]:
        with http_peer.peer() as server:
            yield server

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        """The status of a GET that follows redirects and reads the body."""
        raise NotImplementedError

    def open(self, url: str) -> Any:
        """The response of a GET, not read yet: read() reads all of its body, close() closes it."""
        raise NotImplementedError

    # A call -------------------------------------------------------------------------------------------------------

    def test_a_call_is_one_client_span(self, peer: Peer, spans: Recorded) -> None:
        assert self.get(peer.url + "/a/17?token=s3cret&x=1") == 200
        span = spans.one()
        assert spans.clients == [span]
        assert span.name == "GET"
        known = tags(span)
        assert known["component"] == self.component
        for key in ("http.url", "url.full"):
            assert known[key] == peer.url + "/a/17?token=REDACTED&x=1"
        assert (known["http.method"], known["http.request.method"]) == ("GET", "GET")
        assert (known["http.status_code"], known["http.response.status_code"]) == (200, 200)
        assert (known["peer.hostname"], known["peer.port"], known["peer.service"]) == (
            "127.0.0.1",
            peer.port,
            "127.0.0.1",
        )
        assert known["peer.address"] == f"127.0.0.1:{peer.port}"
        assert (known["server.address"], known["server.port"]) == ("127.0.0.1", peer.port)
        assert "error" not in known
        assert "http.request.resend_count" not in known

    def test_the_server_gets_the_span_in_the_headers(self, peer: Peer, spans: Recorded) -> None:
        with trace.get_tracer("t").start_as_current_span("work") as work:
            self.get(peer.url + "/")
        (client,) = spans.clients
        assert is_child(client, work)  # type: ignore[arg-type]
        (request,) = peer.received
        assert request.header("traceparent") == f"00-{client.trace_id:032x}-{client.span_id:016x}-01"
        assert request.header("X-B3-TraceId") == f"{client.trace_id:032x}"
        assert request.header("X-B3-SpanId") == f"{client.span_id:016x}"

    def test_the_mesh_headers_of_the_request_being_served_travel_on(self, peer: Peer, spans: Recorded) -> None:
        remote = Remote(1 << 100, 7, 1, True)
        remote.forwarded = (("x-request-id", "abc-9-def"),)
        span = trace.get_tracer("t").start_span("serving")
        token = current.enter(span, remote)  # type: ignore[arg-type]
        try:
            self.get(peer.url + "/")
        finally:
            current.leave(token)
        assert peer.received[0].header("x-request-id") == "abc-9-def"

    def test_the_headers_of_the_program_stay_and_stale_trace_headers_do_not(self, peer: Peer, spans: Recorded) -> None:
        given = {"X-Mine": "1", "TraceParent": OLD, "uber-trace-id": "1:2:0:1"}
        before = dict(given)
        self.get(peer.url + "/", given)
        assert given == before
        (request,) = peer.received
        assert request.header("X-Mine") == "1"
        assert OLD not in [value for _, value in request.headers]
        assert request.header("traceparent") is not None
        assert request.header("uber-trace-id") is None

    def test_a_host_that_is_no_target_gets_a_span_but_no_headers(
        self, peer: Peer, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import re

        monkeypatch.setattr(propagate, "_targets", re.compile("billing"))
        self.get(peer.url + "/", {"traceparent": OLD})
        assert spans.one().kind.name == "CLIENT"
        names = [name.lower() for name, _ in peer.received[0].headers]
        assert "x-b3-traceid" not in names
        assert peer.received[0].header("traceparent") == OLD, "the program sends this header itself"

    def test_suppressed_there_is_no_span(self, peer: Peer, spans: Recorded) -> None:
        token = attach(set_value(SUPPRESS_KEY, True))
        try:
            assert self.get(peer.url + "/") == 200
        finally:
            detach(token)
        assert spans == []
        assert peer.received[0].header("traceparent") is None

    def test_an_excluded_url_is_left_alone(self, peer: Peer, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        import re

        monkeypatch.setattr(propagate, "_excluded", re.compile("/health"))
        self.get(peer.url + "/health?x=1", {"traceparent": OLD})
        assert spans == []
        assert peer.received[0].header("traceparent") == OLD
        assert peer.received[0].header("X-B3-TraceId") is None
        self.get(peer.url + "/healing")
        assert len(spans) == 1

    # Errors -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [404, 500])
    def test_an_error_status_marks_the_span(self, peer: Peer, spans: Recorded, status: int) -> None:
        assert self.get(peer.answer("/e", answer(status, "no"))) == status
        known = tags(spans.one())
        assert known["error"] is True
        assert known["error.type"] == str(status)
        assert known["http.status_code"] == status

    def test_a_refused_connection_is_recorded_and_raised(self, spans: Recorded) -> None:
        port = free_port()
        with pytest.raises(self.connection_error):
            self.get(f"http://127.0.0.1:{port}/?token=s3cret")
        span = spans.one()
        assert span.failure is not None
        assert "s3cret" not in span.failure.message
        assert tags(span)["peer.port"] == port
        assert "http.status_code" not in tags(span)

    def test_a_server_that_hangs_up_is_recorded_and_raised(self, peer: Peer, spans: Recorded) -> None:
        with pytest.raises(self.connection_error):
            self.get(peer.answer("/", b""))
        assert len(spans) == len(peer.received), "aiohttp asks a second time"
        assert [span.failure for span in spans if span.failure is None] == []

    # Redirects ----------------------------------------------------------------------------------------------------

    def test_each_redirect_is_a_span_with_its_own_url_and_status(self, peer: Peer, spans: Recorded) -> None:
        peer.answer("/1", redirect("/2", 301))
        peer.answer("/2", redirect("/3"))
        assert self.get(peer.url + "/1") == 200
        found = [(tags(span)["http.url"], tags(span)["http.status_code"]) for span in spans]
        assert found == [(peer.url + "/1", 301), (peer.url + "/2", 302), (peer.url + "/3", 200)]
        assert [tags(span).get("http.request.resend_count") for span in spans] == [None, 1, 2]
        received = [request.header("X-B3-SpanId") for request in peer.received]
        assert received == [f"{span.span_id:016x}" for span in spans]

    # Bodies -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("raw", [ok("hello"), http_peer.CHUNKED], ids=["length", "chunked"])
    def test_the_span_ends_when_the_body_has_been_read(self, peer: Peer, spans: Recorded, raw: bytes) -> None:
        body = self.open(peer.answer("/s", raw))
        assert self.reads_ahead or spans == []
        assert body.read().startswith(b"hello")
        assert spans.one().failure is None
        body.close()
        del body
        assert len(spans) == 1

    def test_the_span_ends_when_the_body_is_closed_unread(self, peer: Peer, spans: Recorded) -> None:
        body = self.open(peer.answer("/s", http_peer.PART))
        assert spans == []
        body.close()
        assert spans.one().failure is None

    def test_the_span_ends_when_nobody_holds_the_response(self, peer: Peer, spans: Recorded) -> None:
        body = self.open(peer.answer("/s", http_peer.PART))
        assert spans == []
        del body
        gc.collect()
        assert spans.one().failure is None

    def test_an_empty_body_ends_the_span_at_once(self, peer: Peer, spans: Recorded) -> None:
        body = self.open(peer.answer("/s", ok("")))
        assert spans.one().failure is None
        assert body.read() == b""
        assert len(spans) == 1

    @pytest.mark.parametrize("raw", [http_peer.TRUNCATED, http_peer.TRUNCATED_CHUNKS], ids=["length", "chunked"])
    def test_a_body_that_breaks_off_is_an_error(self, peer: Peer, spans: Recorded, raw: bytes) -> None:
        body = self.open(peer.answer("/s", raw))
        if raw is http_peer.TRUNCATED and self.misses_the_end:
            assert body.read() == b"hello"
            assert spans.one().failure is None
            return
        with pytest.raises(self.read_error):
            body.read()
        span = spans.one()
        assert span.failure is not None
        assert tags(span)["http.status_code"] == 200
