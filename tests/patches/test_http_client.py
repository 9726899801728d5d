"""http.client on a real socket: every promise of an HTTP client that it can keep, for each way to use it."""

from __future__ import annotations

import http.client
import io
import shutil
import socket
import sys
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from autotrace import containment
from autotrace.http_client import exchange, via_http_client
from autotrace.http_client.call import Call
from autotrace.patches import http_client as patch
from autotrace.patching import Plan, Unpatchable
from tests import programs
from tests.contracts.http_client import HttpClient
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer, answer, free_port, ok
from tests.recorded import Recorded, record, tags


def connected(url: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    target = parts._replace(scheme="", netloc="").geturl() or "/"
    return http.client.HTTPConnection(parts.netloc, timeout=5), target


class TestHttpClient(HttpClient):
    component = "http.client"
    connection_error = OSError
    read_error = (http.client.HTTPException, OSError)  # type: ignore[assignment]

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        connection, target = connected(url)
        try:
            connection.request("GET", target, headers=headers or {})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def open(self, url: str) -> Any:
        connection, target = connected(url)
        connection.request("GET", target)
        return connection.getresponse()

    def test_each_redirect_is_a_span_with_its_own_url_and_status(self, peer: Peer, spans: Recorded) -> None:
        """http.client follows none: the program's next request is a call of its own."""
        assert self.get(peer.answer("/1", http_peer.redirect("/2"))) == 302
        assert self.get(peer.url + "/2") == 200
        assert [tags(span)["http.status_code"] for span in spans] == [302, 200]


class TestStepByStep(TestHttpClient):
    """putrequest, putheader, endheaders; the body by readinto."""

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        connection, target = connected(url)
        connection.putrequest("GET", target)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        shutil.copyfileobj(response, io.BytesIO())
        response.close()
        connection.close()
        return response.status


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


@pytest.fixture
def connection(peer: Peer) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5)
    yield made
    made.close()


@pytest.mark.parametrize(
    "read",
    [
        lambda response: response.read(),
        lambda response: [response.read(2) for _ in range(10)],
        lambda response: response.readinto(bytearray(100)),
        lambda response: [response.read1(3) for _ in range(10)],
        lambda response: [response.readline() for _ in range(5)],
        list,
        lambda response: response.readlines(),
        lambda response: io.TextIOWrapper(response).read(),
        lambda response: response.__exit__(None, None, None),
    ],
)
@pytest.mark.parametrize("raw", [ok("hello\nyou"), http_peer.CHUNKED], ids=["length", "chunked"])
def test_however_a_body_is_read_the_span_ends_with_it(
    connection: http.client.HTTPConnection, peer: Peer, spans: Recorded, read: Any, raw: bytes
) -> None:
    peer.answer("/s", raw)
    connection.request("GET", "/s")
    response = connection.getresponse()
    assert spans == []
    read(response)
    read = None
    if response.isclosed():
        assert spans.one().failure is None
    response.close()
    assert len(spans) == 1


def test_a_connection_that_is_kept_makes_a_span_for_each_request(
    connection: http.client.HTTPConnection, peer: Peer, spans: Recorded
) -> None:
    for target in ("/a", "/b"):
        connection.request("POST", target, body=b"abc", headers={"X-A": "1"})
        connection.getresponse().read()
    assert [tags(span)["http.url"] for span in spans] == [peer.url + "/a", peer.url + "/b"]
    assert [request.body for request in peer.received] == [b"abc", b"abc"]
    assert [request.header("X-B3-SpanId") for request in peer.received] == [f"{s.span_id:016x}" for s in spans]


def test_head_ends_at_once(connection: http.client.HTTPConnection, peer: Peer, spans: Recorded) -> None:
    peer.answer("/h", b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n")
    connection.request("HEAD", "/h")
    connection.getresponse()
    assert spans.one().name == "HEAD"


def test_headers_that_come_twice_stay_twice(
    connection: http.client.HTTPConnection, peer: Peer, spans: Recorded
) -> None:
    connection.putrequest("GET", "/", skip_accept_encoding=True)
    connection.putheader("X-A", "1")
    connection.putheader("x-b3-traceid", "stale")
    connection.putheader("X-A", "2", "folded")
    connection.endheaders()
    connection.getresponse().read()
    sent = [(name, value) for name, value in peer.received[0].headers if name in ("X-A", "Host")]
    assert sent[:3] == [("Host", f"127.0.0.1:{peer.port}"), ("X-A", "1"), ("X-A", "2")]
    assert peer.received[0].header("x-b3-traceid") == f"{spans.one().trace_id:032x}"


def test_a_body_that_makes_calls_while_it_is_sent(
    connection: http.client.HTTPConnection, peer: Peer, spans: Recorded
) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        TestHttpClient().get(peer.url + "/inner")

    connection.request("POST", "/outer", body=body(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    connection.getresponse().read()
    inner, outer = spans
    assert inner.parent_id == outer.span_id
    assert tags(outer)["http.url"] == peer.url + "/outer"


def test_a_body_that_raises_reaches_the_program_and_the_span(
    connection: http.client.HTTPConnection, spans: Recorded
) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("mine")

    with pytest.raises(LookupError):
        connection.request("POST", "/", body=body())
    assert spans.one().failure is not None
    connection.close()
    assert len(spans) == 1


def test_a_body_that_cannot_be_sent_is_recorded(
    connection: http.client.HTTPConnection, peer: Peer, spans: Recorded
) -> None:
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "3")
    connection.endheaders()
    connection.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError):
        connection.send(b"abc")
    assert spans.one().failure is not None


def test_a_request_nobody_waits_for_ends_with_its_connection(
    connection: http.client.HTTPConnection, spans: Recorded
) -> None:
    connection.request("GET", "/")
    connection.close()
    assert spans.one().failure is None
    other = http.client.HTTPConnection(connection.host, connection.port)
    other.request("GET", "/")
    other.sock.close()
    del other
    assert len(spans) == 2


def test_what_cannot_be_sent_makes_no_span(connection: http.client.HTTPConnection, spans: Recorded) -> None:
    with pytest.raises(http.client.InvalidURL):
        http.client.HTTPConnection("h").request("GET", "/a b")
    with pytest.raises(ValueError):
        http.client.HTTPConnection("h").request("G\nET", "/")
    with pytest.raises(TypeError):
        connection.putrequest()  # type: ignore[call-arg]
    connection.request("GET", "/")
    with pytest.raises(http.client.CannotSendRequest):
        connection.request("GET", "/")
    connection.getresponse().read()
    assert len(spans) == 1


def test_a_timeout_is_recorded(peer: Peer, spans: Recorded) -> None:
    peer.answer("/slow", b"hold")
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=0.05)
    connection.request("GET", "/slow")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    failure = spans.one().failure
    assert failure is not None
    assert failure.type == "TimeoutError"
    connection.close()


def test_through_a_tunnel_the_span_names_the_server_and_the_proxy_gets_no_trace(peer: Peer, spans: Recorded) -> None:
    peer.answer("billing.invalid:80", b"HTTP/1.1 200 OK\r\n\r\n")
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5)
    connection.set_tunnel("billing.invalid")
    connection.request("GET", "/pay")
    assert connection.getresponse().read() == b"hello"
    connection.close()
    known = tags(spans.one())
    assert known["http.url"] == "http://billing.invalid/pay"
    assert (known["peer.hostname"], known["peer.port"]) == ("billing.invalid", 80)
    tunnel, request = peer.received
    assert tunnel.method == "CONNECT"
    assert tunnel.header("traceparent") is None
    assert request.header("traceparent") is not None


def test_a_proxy_is_asked_with_the_whole_url(
    connection: http.client.HTTPConnection, peer: Peer, spans: Recorded
) -> None:
    peer.answer("http://billing.invalid/pay", ok("paid"))
    connection.request("GET", "http://billing.invalid/pay")
    assert connection.getresponse().read() == b"paid"
    assert tags(spans.one())["peer.hostname"] == "billing.invalid"


def test_ipv6(spans: Recorded) -> None:
    with pytest.raises(OSError):
        http.client.HTTPConnection("::1", free_port(), timeout=5).request("GET", "/")
    known = tags(spans.one())
    assert known["peer.hostname"] == known["server.address"] == "::1"
    assert known["peer.ipv6"] == "::1"


def test_libraries_on_top_are_http_client(peer: Peer, spans: Recorded) -> None:
    text = xmlrpc.client.dumps((1,), methodresponse=True)
    peer.answer("/RPC2", ok(text, "Content-Type: text/xml"))
    assert xmlrpc.client.ServerProxy(peer.url).one() == 1
    assert tags(spans.one())["http.url"] == peer.url + "/RPC2"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Call, "start_exchange"),
        (via_http_client, "header_changes"),
        (exchange, "host_of"),
        (via_http_client, "Exchange"),
        (via_http_client, "_url"),
        (via_http_client, "_on_response"),
    ],
)
def test_if_autotrace_fails_the_call_goes_on(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("autotrace's own")

    monkeypatch.setattr(owner, name, broken)
    with record():
        assert TestHttpClient().get(peer.url + "/") == 200
        with pytest.raises(ConnectionRefusedError):
            TestHttpClient().get(f"http://127.0.0.1:{free_port()}/")
    assert len(peer.received) == 1
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once(peer: Peer, spans: Recorded) -> None:
    plan = Plan()
    patch.connections(http.client, plan)
    plan.apply()
    assert TestHttpClient().get(peer.url + "/") == 200
    assert len(spans) == 1


def test_an_http_client_that_keeps_headers_elsewhere_is_refused_whole() -> None:
    import types

    class HTTPConnection:
        def __init__(self) -> None: ...
        def putrequest(self, method: str, url: str) -> None: ...

    fake = types.ModuleType("http.client")
    fake.HTTPConnection, fake.HTTPResponse = HTTPConnection, object  # type: ignore[attr-defined]
    plan = Plan()
    with pytest.raises(Unpatchable, match="keeps its headers elsewhere"):
        patch.connections(fake, plan)
    assert via_http_client.traces_own


def test_disabled_the_layers_above_are_traced_all_the_same(peer: Peer) -> None:
    program = (
        "import http.client, urllib.request, autotrace.activation as a; a.activate()\n"
        f"urllib.request.urlopen('{peer.url}/above').read()\n"
        f"c = http.client.HTTPConnection('127.0.0.1', {peer.port}); c.request('GET', '/bare'); c.getresponse().read()\n"
    )
    environment = programs.environment(AUTOTRACE_EXPORTER="none", AUTOTRACE_DISABLED_PATCHES="http.client")
    done = programs._run((sys.executable, "-c", program), None, environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    traced = {request.target: request.header("traceparent") is not None for request in peer.received}
    assert traced == {"/above": True, "/bare": False}


def test_undone_the_program_s_own_requests_are_not_traced_any_more() -> None:
    program = (
        "import http.client\nfrom autotrace.patching import Plan\nfrom autotrace.http_client import via_http_client\n"
        "from autotrace.patches.http_client import connections\n"
        "Connection, Response = http.client.HTTPConnection, http.client.HTTPResponse\n"
        "before = dict(vars(Connection)), dict(vars(Response))\n"
        "plan = Plan(); connections(http.client, plan); plan.apply()\n"
        "assert via_http_client.traces_own and vars(Connection)['endheaders'] is not before[0]['endheaders']\n"
        "plan.undo()\n"
        "assert not via_http_client.traces_own and (dict(vars(Connection)), dict(vars(Response))) == before\n"
    )
    done = programs._run((sys.executable, "-c", program), None, programs.environment())
    assert (done.returncode, done.stderr) == (0, "")


def test_autotrace_s_own_traffic_is_not_traced(peer: Peer, tmp_path: Path) -> None:
    peer.answer("/api/traces", answer(202))
    program = f"import urllib.request; urllib.request.urlopen('{peer.url}/one').read()"
    done = programs.traced(
        sys.executable, "-c", program, cwd=tmp_path, AUTOTRACE_ENDPOINT=f"{peer.url}/api/traces", AUTOTRACE_EXPORTER=""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [request.target for request in peer.received] == ["/one", "/api/traces"]
    assert peer.received[1].header("traceparent") is None
