"""requests on a real socket: every promise of an HTTP client, and the promises for requests alone."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.adapters
import requests.sessions
import urllib3
from requests import get as early_get
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from autotrace import containment
from autotrace.http_client import call, via_urllib3
from autotrace.http_client.call import Call
from autotrace.patches import requests as patch
from autotrace.patching import Plan, Unpatchable
from tests import programs
from tests.contracts.http_client import HttpClient
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer, answer, free_port, ok, redirect
from tests.recorded import Recorded, record, tags

TRACE = ("traceparent", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled")


class Body:
    def __init__(self, response: requests.Response) -> None:
        self.response = response

    def read(self) -> bytes:
        return self.response.content

    def close(self) -> None:
        self.response.close()


class TestRequests(HttpClient):
    component = "requests"
    connection_error = requests.ConnectionError
    read_error = requests.RequestException
    misses_the_end = urllib3.__version__ < "2"

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        return early_get(url, headers=headers, timeout=5).status_code

    def open(self, url: str) -> Body:
        return Body(requests.get(url, stream=True, timeout=5))


class TestRequestsThroughRaw(TestRequests):
    """The body read past requests, from urllib3's response."""

    read_error = urllib3.exceptions.HTTPError
    misses_the_end = False

    def open(self, url: str) -> Any:
        return requests.get(url, stream=True, timeout=5).raw


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


def resends(spans: Recorded) -> list[int | None]:
    return [tags(span).get("http.request.resend_count") for span in spans]


def test_each_retry_is_a_span_of_its_own(peer: Peer, spans: Recorded) -> None:
    url = peer.answer("/flaky", answer(503, "no"), answer(503, "no"), ok("yes"))
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
        assert session.get(url).text == "yes"
    assert [tags(span)["http.status_code"] for span in spans] == [503, 503, 200]
    assert resends(spans) == [None, 1, 2]
    assert [request.header("X-B3-SpanId") for request in peer.received] == [f"{s.span_id:016x}" for s in spans]


def test_each_refused_attempt_is_a_span_of_its_own(spans: Recorded) -> None:
    with requests.Session() as session, pytest.raises(requests.ConnectionError) as raised:
        session.mount("http://", HTTPAdapter(max_retries=2))
        session.get(f"http://127.0.0.1:{free_port()}/")
    assert len(spans) == 3
    assert all(span.failure is not None for span in spans)
    assert raised.value.request is not None


def test_a_read_timeout_is_recorded(peer: Peer, spans: Recorded) -> None:
    with pytest.raises(requests.ReadTimeout):
        requests.get(peer.answer("/slow", b"hold"), timeout=0.05)
    failure = spans.one().failure
    assert failure is not None
    assert failure.type.endswith("ReadTimeoutError")


def test_a_proxy_that_refuses_the_tunnel_is_recorded_though_nothing_was_sent(spans: Recorded) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get("https://example.invalid/?token=s3cret", proxies={"https": proxy}, timeout=5)
    span = spans.one()
    assert span.failure is not None
    assert "s3cret" not in span.failure.message
    assert tags(span)["peer.hostname"] == "example.invalid"
    assert tags(span)["peer.port"] == 443


def test_through_a_proxy_the_span_names_the_server_not_the_proxy(peer: Peer, spans: Recorded) -> None:
    target = "http://billing.invalid/pay"
    peer.answer(target, ok("paid"))
    assert requests.get(target, proxies={"http": peer.url}, timeout=5).text == "paid"
    known = tags(spans.one())
    assert (known["peer.hostname"], known["peer.port"], known["http.url"]) == ("billing.invalid", 80, target)
    assert peer.received[0].header("traceparent") is not None


def test_no_trace_header_is_to_be_seen_in_what_the_program_holds(peer: Peer, spans: Recorded) -> None:
    session = requests.Session()
    prepared = session.prepare_request(requests.Request("POST", peer.url + "/", data={"a": "1"}, headers={"X-A": "b"}))
    before = dict(prepared.headers)
    response = session.send(prepared)
    assert response.request is prepared
    assert dict(prepared.headers) == before
    assert not [name for name in session.headers if name.lower() in TRACE]
    session.send(prepared)
    ids = [request.header("X-B3-SpanId") for request in peer.received]
    assert ids == [f"{span.span_id:016x}" for span in spans]
    assert resends(spans) == [None, None], "the program sent it twice, each time for the first time"


@pytest.mark.parametrize("data", [iter([b"ab", b"cd"]), b"abcd"], ids=["chunked", "length"])
def test_bodies_arrive_as_they_are_sent(peer: Peer, spans: Recorded, data: Any) -> None:
    assert requests.post(peer.url + "/", data=data).status_code == 200
    (request,) = peer.received
    assert request.body == b"abcd"
    assert request.header("X-B3-SpanId") == f"{spans.one().span_id:016x}"


def test_a_body_that_makes_calls_while_it_is_sent(peer: Peer, spans: Recorded) -> None:
    """Each is a call of its own and a child of the request whose body makes it, also by urllib3."""

    def body() -> Iterator[bytes]:
        yield b"a"
        requests.get(peer.url + "/inner")
        urllib3.PoolManager().request("GET", peer.url + "/bare")
        yield b"b"

    requests.post(peer.url + "/outer", data=body())
    inner, bare, outer = spans
    assert tags(inner)["http.url"].endswith("/inner")
    assert (tags(bare)["http.url"].endswith("/bare"), tags(bare)["component"]) == (True, "urllib3")
    assert inner.parent_id == bare.parent_id == outer.span_id
    assert resends(spans) == [None, None, None]


def test_head_and_204_end_at_once(peer: Peer, spans: Recorded) -> None:
    peer.answer("/h", b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n")
    response = requests.head(peer.url + "/h", stream=True)
    assert [span.name for span in spans] == ["HEAD"]
    gone = requests.delete(peer.answer("/d", b"HTTP/1.1 204 X\r\n\r\n"), stream=True)
    assert [span.name for span in spans] == ["HEAD", "DELETE"]
    assert (response.content, gone.content) == (b"", b"")
    assert len(spans) == 2


def test_reading_by_pieces_ends_the_span_with_the_last(peer: Peer, spans: Recorded) -> None:
    response = requests.get(peer.answer("/s", ok("x" * 30)), stream=True)
    pieces = response.iter_content(10)
    next(pieces)
    next(pieces)
    assert spans == []
    assert b"".join(pieces) == b"x" * 10
    assert len(spans) == 1


def test_a_reader_that_gives_up_is_no_error(peer: Peer, spans: Recorded) -> None:
    response = requests.get(peer.answer("/s", http_peer.CHUNKED), stream=True)
    pieces = response.iter_content(3)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    response.close()
    assert spans.one().failure is None


def test_a_dropped_response_needs_no_cycle_collector(peer: Peer, spans: Recorded) -> None:
    gc.disable()
    try:
        requests.get(peer.answer("/s", ok("x" * 100)), stream=True)
        assert len(spans) == 1
    finally:
        gc.enable()


def test_a_hook_that_raises_reaches_the_program_and_ends_the_span(peer: Peer, spans: Recorded) -> None:
    def hook(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as raised:
        requests.get(peer.answer("/", ok("hello")), hooks={"response": hook})
    assert len(spans) == 1, "ended, though the exception still holds the response"
    assert spans.one().failure is None
    del raised


def test_a_hook_that_asks_elsewhere_makes_a_call_of_its_own(peer: Peer, spans: Recorded) -> None:
    def hook(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        if response.url.endswith("/first"):
            requests.get(peer.url + "/token")
            urllib3.PoolManager().request("GET", peer.url + "/bare")

    requests.get(peer.url + "/first", hooks={"response": hook})
    found = sorted((tags(span)["http.url"].rpartition("/")[2], tags(span)["component"]) for span in spans)
    assert found == [("bare", "urllib3"), ("first", "requests"), ("token", "requests")]
    assert resends(spans) == [None, None, None]


def test_a_hook_s_call_between_redirects_is_no_redirect(peer: Peer, spans: Recorded) -> None:
    def hook(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        if response.url.endswith("/1"):
            requests.get(peer.url + "/token", allow_redirects=False)

    peer.answer("/1", redirect("/2"))
    requests.get(peer.url + "/1", hooks={"response": hook})
    found = {tags(span)["http.url"].rpartition("/")[2]: tags(span).get("http.request.resend_count") for span in spans}
    assert found == {"1": None, "token": None, "2": 1}


def test_digest_authentication_sends_again(peer: Peer, spans: Recorded) -> None:
    challenge = answer(401, "", 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5')
    url = peer.answer("/d", challenge, ok("in"))
    assert requests.get(url, auth=requests.auth.HTTPDigestAuth("u", "p")).text == "in"
    assert [tags(span)["http.status_code"] for span in spans] == [401, 200]
    assert resends(spans) == [None, 1]


def test_too_many_redirects(peer: Peer, spans: Recorded) -> None:
    with requests.Session() as session, pytest.raises(requests.TooManyRedirects):
        session.max_redirects = 2
        session.get(peer.answer("/loop", redirect("/loop")))
    assert len(spans) == 3


def test_a_redirect_without_a_body_is_counted_too(peer: Peer, spans: Recorded) -> None:
    peer.answer("/1", answer(302, "", "Location: /2"))
    assert requests.get(peer.url + "/1").status_code == 200
    assert resends(spans) == [None, 1]


def test_adapters_of_the_program(peer: Peer, spans: Recorded) -> None:
    class Asking(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            return super().send(request, *args, **kwargs)

    class Alone(HTTPAdapter):
        """Replaces send() and calls urllib3 itself."""

        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            raw = self.poolmanager.urlopen(
                request.method, request.url, headers=request.headers, preload_content=False, decode_content=False
            )
            return self.build_response(request, raw)

    class Elsewhere(requests.adapters.BaseAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            response = requests.Response()
            response.status_code, response._content, response.request = 299, b"none", request
            response.url = request.url
            return response

        def close(self) -> None: ...

    with requests.Session() as session:
        for adapter, status, made in ((Asking(), 200, 1), (Alone(), 200, 1), (Elsewhere(), 299, 0)):
            spans.clear()
            session.mount("http://", adapter)
            assert session.get(peer.url + "/x").status_code == status
            assert len(spans) == made, adapter


def test_an_adapter_without_a_session(peer: Peer, spans: Recorded) -> None:
    prepared = requests.Request("GET", peer.url + "/x").prepare()
    adapter = HTTPAdapter()
    assert adapter.send(prepared).content == b"hello"
    adapter.close()
    assert tags(spans.one())["http.url"] == peer.url + "/x"


def test_sessions_are_pickled_and_used_in_threads(peer: Peer, spans: Recorded) -> None:
    session = pickle.loads(pickle.dumps(requests.Session()))
    threads = [threading.Thread(target=session.get, args=(f"{peer.url}/{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    received = {request.target: request.header("X-B3-SpanId") for request in peer.received}
    assert {tags(s)["http.url"].removeprefix(peer.url): f"{s.span_id:016x}" for s in spans} == received
    assert resends(spans) == [None] * 8
    assert pickle.loads(pickle.dumps(requests.get(peer.url + "/p"))).content == b"hello"


def test_what_cannot_be_sent_fails_as_without_autotrace(spans: Recorded) -> None:
    with pytest.raises(requests.exceptions.MissingSchema):
        requests.get("no-url")
    with pytest.raises(requests.exceptions.InvalidSchema):
        requests.get("ftp://x/")
    with pytest.raises(ValueError, match="PreparedRequest"):
        requests.Session().send(requests.Request("GET", "http://x/"))  # type: ignore[arg-type]
    with pytest.raises((AttributeError, TypeError)):
        requests.Session().send(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        requests.Session().send()  # type: ignore[call-arg]
    assert spans == []


# Contained errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Call, "start_exchange"),
        (call, "server_facts"),
        (via_urllib3, "Exchange"),
        (via_urllib3, "_after"),
        (patch, "Call"),
        (patch, "enter_layer"),
        (via_urllib3.propagate, "injected"),
        (via_urllib3, "host_of"),
        (via_urllib3, "_copy"),
    ],
)
def test_if_autotrace_fails_the_call_goes_on(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("autotrace's own")

    monkeypatch.setattr(owner, name, broken)
    with record():
        assert requests.get(peer.url + "/").text == "hello"
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{free_port()}/")
    assert len(peer.received) == 1
    containment.failures.clear()


def test_if_the_span_of_an_unsent_request_fails_the_program_gets_the_library_s_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(error: BaseException) -> Any:
        raise RuntimeError("autotrace's own")

    monkeypatch.setattr(via_urllib3, "_reason", broken)
    proxy = f"http://127.0.0.1:{free_port()}"
    with record(), pytest.raises(requests.exceptions.ProxyError):
        requests.get("https://example.invalid/", proxies={"https": proxy}, timeout=5)
    assert list(containment.failures) == ["requests"]
    containment.failures.clear()


def test_a_sink_that_fails_breaks_no_read(peer: Peer, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(span: Any) -> None:
        raise RuntimeError("autotrace's own")

    from autotrace.tracing.span import Span

    with monkeypatch.context() as patched:
        patched.setattr(Span, "sink", staticmethod(broken))
        assert requests.get(peer.url + "/").text == "hello"
        requests.get(peer.url + "/", stream=True).close()
    assert containment.failures
    containment.failures.clear()


# Patching -------------------------------------------------------------------------------------------------------------


def test_patched_twice_is_patched_once(peer: Peer, spans: Recorded) -> None:
    plan = Plan()
    patch.sessions(requests.sessions, plan)
    plan.apply()
    requests.get(peer.url + "/")
    assert len(spans) == 1


def test_a_urllib3_without_what_is_needed_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("urllib3.response")
    fake.HTTPResponse = type("HTTPResponse", (), {"close": lambda self: None})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "urllib3.response", fake)
    plan = Plan()
    with pytest.raises(Unpatchable, match="_error_catcher"):
        patch.sessions(requests.sessions, plan)
    assert plan._undo == []


def test_functions_show_themselves_as_the_library_s() -> None:
    import inspect

    assert list(inspect.signature(requests.Session.send).parameters)[:2] == ["self", "request"]
    assert requests.Session.send.__qualname__ == "Session.send"


def test_a_module_of_the_program_s_that_has_the_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "requests.py").write_text("def get(url): return 'mine'\n")
    (tmp_path / "main.py").write_text("import requests\nprint(requests.get('x'))\n")
    done = programs.traced(sys.executable, "main.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")


def test_a_library_imported_before_activation_is_patched(peer: Peer) -> None:
    program = (
        f"from requests import get, Session\nimport autotrace.activation as a; a.activate()\nget('{peer.url}/early')\n"
    )
    done = programs._run((sys.executable, "-c", program), None, programs.environment(AUTOTRACE_EXPORTER="none"))
    assert done.returncode == 0, done.stderr
    assert peer.received[0].header("traceparent") is not None
