"""urllib.request on a real socket: every promise of an HTTP client, and those for openers and handlers."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrace import containment
from autotrace.http_client.call import current_call
from autotrace.patches import urllib_request as patch
from autotrace.patching import Plan
from tests.contracts.http_client import HttpClient
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer, answer, free_port, ok, redirect
from tests.recorded import Recorded, record, tags


def opener(**proxies: str) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler(proxies))


class TestUrllibRequest(HttpClient):
    component = "urllib.request"
    connection_error = OSError
    read_error = (http.client.HTTPException, OSError)  # type: ignore[assignment]

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=5) as response:
                response.read()
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                error.read()
                return int(error.code)

    def open(self, url: str) -> Any:
        return urllib.request.urlopen(url, timeout=5)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


def resends(spans: Recorded) -> list[int | None]:
    return [tags(span).get("http.request.resend_count") for span in spans]


def test_no_trace_header_is_to_be_seen_in_what_the_program_holds(peer: Peer, spans: Recorded) -> None:
    request = urllib.request.Request(peer.url + "/", data=b"a=1", headers={"X-A": "b"})
    urllib.request.urlopen(request).read()
    assert sorted(name for name, _ in request.header_items()) == [
        "Content-length",
        "Content-type",
        "Host",
        "User-agent",
        "X-a",
    ]
    urllib.request.urlopen(request).read()
    assert [received.body for received in peer.received] == [b"a=1", b"a=1"]
    assert resends(spans) == [None, None], "the program sent it twice, each time for the first time"
    assert [received.header("X-B3-SpanId") for received in peer.received] == [f"{s.span_id:016x}" for s in spans]


@pytest.mark.parametrize("handler", [urllib.request.HTTPBasicAuthHandler, urllib.request.HTTPDigestAuthHandler])
def test_the_answer_to_a_challenge_is_a_span_of_its_own(peer: Peer, spans: Recorded, handler: Any) -> None:
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, peer.url, "u", "p")
    scheme = "Basic" if "Basic" in handler.__name__ else "Digest"
    challenge = answer(401, "no", f'WWW-Authenticate: {scheme} realm="r", nonce="n", qop="auth", algorithm=MD5')
    url = peer.answer("/in", challenge, ok("in"))
    assert urllib.request.build_opener(handler(passwords)).open(url, timeout=5).read() == b"in"
    refused, let_in = spans
    assert [tags(span)["http.status_code"] for span in spans] == [401, 200]
    assert resends(spans) == [None, 1]
    assert (refused.end_time or 0) <= let_in.start_time, "nobody reads the first answer"


def test_a_loop_of_redirects_is_a_span_each(peer: Peer, spans: Recorded) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(peer.answer("/loop", redirect("/loop")))
    raised.value.close()
    assert len(spans) == len(peer.received) > 2
    assert resends(spans) == [None, *range(1, len(spans))]


def test_an_error_that_nobody_reads_ends_its_span(peer: Peer, spans: Recorded) -> None:
    try:
        urllib.request.urlopen(peer.answer("/e", answer(500, "x" * 50)))
    except urllib.error.HTTPError as error:
        assert spans == []
        error.close()
    assert tags(spans.one())["http.status_code"] == 500


def test_a_handler_that_asks_elsewhere_makes_a_call_of_its_own(peer: Peer, spans: Recorded) -> None:
    class Token(urllib.request.BaseHandler):
        def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
            if request.full_url.endswith("/first"):
                self.parent.open(peer.url + "/token").read()  # type: ignore[attr-defined]
            return request

        def http_response(self, request: urllib.request.Request, response: Any) -> Any:
            if request.full_url.endswith("/first"):
                self.parent.open(peer.url + "/after").read()  # type: ignore[attr-defined]
                connection = http.client.HTTPConnection("127.0.0.1", peer.port)
                connection.request("GET", "/bare")
                connection.getresponse().read()
                connection.close()
            return response

    urllib.request.build_opener(Token).open(peer.url + "/first").read()
    found = [(tags(span)["http.url"].rpartition("/")[2], tags(span)["component"]) for span in spans]
    assert found == [
        ("token", "urllib.request"),
        ("after", "urllib.request"),
        ("bare", "http.client"),
        ("first", "urllib.request"),
    ]
    assert resends(spans) == [None] * 4


def test_a_body_that_makes_calls_while_it_is_sent(peer: Peer, spans: Recorded) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        urllib.request.urlopen(peer.url + "/inner").read()
        connection = http.client.HTTPConnection("127.0.0.1", peer.port)
        connection.request("GET", "/bare")
        connection.getresponse().read()
        connection.close()

    urllib.request.urlopen(urllib.request.Request(peer.url + "/outer", data=body())).read()
    inner, bare, outer = spans
    assert inner.parent_id == bare.parent_id == outer.span_id
    assert [tags(span)["http.url"].rpartition("/")[2] for span in spans] == ["inner", "bare", "outer"]
    assert resends(spans) == [None, None, None]


def test_a_request_that_comes_to_nothing_leaves_nothing_behind(peer: Peer, spans: Recorded) -> None:
    class Broken(http.client.HTTPConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise OSError("mine")

    class Fallback(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            with pytest.raises(OSError, match="mine"):
                self.do_open(Broken, request)  # type: ignore[arg-type]
            connection = http.client.HTTPConnection("127.0.0.1", peer.port)
            connection.request("GET", "/other")
            response = connection.getresponse()
            response.msg = response.reason  # type: ignore[assignment]
            return response

    assert urllib.request.build_opener(Fallback).open(peer.url + "/x").read() == b"hello"
    known = tags(spans.one())
    assert (known["component"], known["http.url"]) == ("http.client", peer.url + "/other")


def test_through_a_proxy_the_span_names_the_server_not_the_proxy(peer: Peer, spans: Recorded) -> None:
    peer.answer("http://billing.invalid/pay", ok("paid"))
    assert opener(http=peer.url).open("http://billing.invalid/pay", timeout=5).read() == b"paid"
    known = tags(spans.one())
    assert (known["peer.hostname"], known["peer.port"]) == ("billing.invalid", 80)
    assert known["http.url"] == "http://billing.invalid/pay"


def test_a_proxy_that_refuses_the_tunnel_is_recorded(spans: Recorded) -> None:
    with pytest.raises(urllib.error.URLError):
        opener(https=f"http://127.0.0.1:{free_port()}").open("https://example.invalid/?token=s3cret", timeout=5)
    span = spans.one()
    assert span.failure is not None
    assert (tags(span)["peer.hostname"], tags(span)["peer.port"]) == ("example.invalid", 443)


def test_urls_that_are_not_http_make_no_span(tmp_path: Path, spans: Recorded) -> None:
    (tmp_path / "a").write_text("b")
    assert urllib.request.urlopen((tmp_path / "a").as_uri()).read() == b"b"
    assert urllib.request.urlopen("data:,b").read() == b"b"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen("nonsense://x/")
    with pytest.raises(ValueError, match="unknown url type"):
        urllib.request.urlopen("no-url")
    with pytest.raises(TypeError):
        urllib.request.OpenerDirector().open()  # type: ignore[call-arg]
    assert spans == []


def test_urlretrieve(peer: Peer, tmp_path: Path, spans: Recorded) -> None:
    urllib.request.urlretrieve(peer.url + "/f", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"hello"
    assert len(spans) == 1


def test_a_handler_without_an_opener(peer: Peer, spans: Recorded) -> None:
    request = urllib.request.Request(peer.url + "/x")
    request.timeout = 5  # type: ignore[attr-defined]
    assert urllib.request.HTTPHandler().http_open(request).read() == b"hello"
    assert tags(spans.one())["component"] == "urllib.request"
    assert current_call.get() is None


@pytest.mark.parametrize("name", ["Call", "enter_layer", "_follows"])
def test_if_autotrace_fails_the_call_goes_on(peer: Peer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("autotrace's own")

    monkeypatch.setattr(patch, name, broken)
    peer.answer("/1", redirect("/2"))
    with record():
        assert urllib.request.urlopen(peer.url + "/1").read() == b"hello"
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once(peer: Peer, spans: Recorded) -> None:
    plan = Plan()
    patch.openers(urllib.request, plan)
    plan.apply()
    urllib.request.urlopen(peer.url + "/").read()
    assert len(spans) == 1
