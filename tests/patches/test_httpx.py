"""httpx on a real socket, sync, async and HTTP/2: every promise of an HTTP client, and those for its transports."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from autotrace import containment
from autotrace.http_client import call
from autotrace.http_client.call import Call, current_call
from autotrace.patches import httpx as patch
from autotrace.patching import Plan
from tests import programs
from tests.contracts.async_http_client import AsyncHttpClient
from tests.contracts.http_client import HttpClient
from tests.http_client import http2_peer, http_peer
from tests.http_client.http_peer import Peer, answer, free_port, ok, redirect
from tests.recorded import Recorded, record, tags

# Reading the certificates of this world takes most of a test's time.
get, post, stream, Client, AsyncClient = (
    partial(made, verify=False) for made in (httpx.get, httpx.post, httpx.stream, httpx.Client, httpx.AsyncClient)
)


class TestHttpx(HttpClient):
    component = "httpx"
    connection_error = httpx.TransportError
    read_error = httpx.TransportError

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        return get(url, headers=headers, follow_redirects=True, timeout=5).status_code

    def open(self, url: str) -> Any:
        client = Client(timeout=5)
        return client.send(client.build_request("GET", url), stream=True)


class AsyncBody:
    def __init__(self, response: httpx.Response) -> None:
        self.read = response.aread
        self.close = response.aclose


class TestAsyncHttpx(AsyncHttpClient):
    component = "httpx"
    connection_error = httpx.TransportError
    read_error = httpx.TransportError

    async def begin(self) -> None:
        self.client = AsyncClient(follow_redirects=True, timeout=5)

    async def end(self) -> None:
        await self.client.aclose()

    async def aget(self, url: str, headers: dict[str, str] | None = None) -> int:
        return (await self.client.get(url, headers=headers)).status_code

    async def aopen(self, url: str) -> AsyncBody:
        return AsyncBody(await self.client.send(self.client.build_request("GET", url), stream=True))


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


@pytest.fixture
def two() -> Iterator[http2_peer.Http2Peer]:
    with http2_peer.peer() as server:
        yield server


def resends(spans: Recorded) -> list[int | None]:
    return [tags(span).get("http.request.resend_count") for span in spans]


# HTTP/2 ---------------------------------------------------------------------------------------------------------------


def test_http2_streams_of_one_connection_are_a_span_each(two: http2_peer.Http2Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with AsyncClient(http1=False, http2=True) as client:
            answers = await asyncio.gather(*(client.get(f"{two.url}/{number}") for number in range(5)))
            assert {response.http_version for response in answers} == {"HTTP/2"}

    asyncio.run(story())
    received = {headers[":path"]: headers["x-b3-spanid"] for headers in two.received}
    assert {tags(s)["http.url"].removeprefix(two.url): f"{s.span_id:016x}" for s in spans} == received
    assert all(headers["traceparent"] for headers in two.received)


def test_http2_sync_and_a_stream_that_is_reset(two: http2_peer.Http2Peer, spans: Recorded) -> None:
    with Client(http1=False, http2=True) as client:
        assert client.get(two.url + "/a").text == "hello"
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(two.url + "/reset")
    good, bad = spans
    assert good.failure is None
    assert bad.failure is not None


# What the program holds -----------------------------------------------------------------------------------------------


def test_no_trace_header_is_to_be_seen_in_what_the_program_holds(peer: Peer, spans: Recorded) -> None:
    seen = []
    with Client(event_hooks={"request": [lambda request: seen.append(dict(request.headers))]}) as client:
        request = client.build_request("POST", peer.url + "/", content=b"abc", headers=[("X-A", "1"), ("X-A", "2")])
        before = list(request.headers.raw)
        response = client.send(request)
        assert response.request is request
        assert request.headers.raw == before
        assert seen == [dict(request.headers)]
        assert [(n, v) for n, v in peer.received[0].headers if n == "X-A"] == [("X-A", "1"), ("X-A", "2")]
        client.send(request)
    assert resends(spans) == [None, None], "the program sent it twice, each time for the first time"
    assert [received.body for received in peer.received] == [b"abc", b"abc"]


def test_an_error_refers_to_the_program_s_own_request(spans: Recorded) -> None:
    with Client() as client:
        request = client.build_request("GET", f"http://127.0.0.1:{free_port()}/")
        with pytest.raises(httpx.ConnectError) as raised:
            client.send(request)
    assert raised.value.request is request
    assert "traceparent" not in request.headers


def test_functions_stay_what_they_were() -> None:
    assert inspect.iscoroutinefunction(httpx.AsyncClient.send)
    assert inspect.iscoroutinefunction(httpx.AsyncHTTPTransport.handle_async_request)
    assert list(inspect.signature(httpx.Client.send).parameters)[:2] == ["self", "request"]


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_reading_by_pieces_ends_the_span_with_the_last(peer: Peer, spans: Recorded) -> None:
    with stream("GET", peer.answer("/s", http_peer.CHUNKED)) as response:
        pieces = response.iter_raw(3)
        next(pieces)
        assert b"".join(pieces) == b"loworld"
        assert len(spans) == 1
    assert len(spans) == 1


def test_a_reader_that_gives_up_is_no_error(peer: Peer, spans: Recorded) -> None:
    with stream("GET", peer.answer("/s", http_peer.CHUNKED)) as response:
        for _ in response.iter_raw(1):
            break
    assert spans.one().failure is None


def test_an_async_reader_that_gives_up_is_no_error(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with AsyncClient() as client:
            async with client.stream("GET", peer.answer("/s", http_peer.CHUNKED)) as response:
                async for _ in response.aiter_raw(1):
                    break
            assert len(spans) == 1

    asyncio.run(story())
    assert spans.one().failure is None


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_head_and_204_end_at_once(peer: Peer, spans: Recorded, method: str) -> None:
    url = peer.answer(
        "/h", b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n" if method == "HEAD" else b"HTTP/1.1 204 X\r\n\r\n"
    )
    with Client() as client:
        response = client.send(client.build_request(method, url), stream=True)
        assert spans.one().name == method
        response.close()


def test_a_body_that_makes_calls_while_it_is_sent(peer: Peer, spans: Recorded) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        get(peer.url + "/inner")

    post(peer.url + "/outer", content=body())
    inner, outer = spans
    assert inner.parent_id == outer.span_id
    assert resends(spans) == [None, None]
    assert peer.received[-1].body == b"a" or peer.received[0].body == b"a"


def test_an_async_body_that_makes_calls_while_it_is_sent(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with AsyncClient() as client:

            async def body() -> AsyncIterator[bytes]:
                yield b"a"
                await client.get(peer.url + "/inner")

            await client.post(peer.url + "/outer", content=body())

    asyncio.run(story())
    inner, outer = spans
    assert inner.parent_id == outer.span_id


# Calls in several parts -----------------------------------------------------------------------------------------------


def test_digest_authentication_sends_again(peer: Peer, spans: Recorded) -> None:
    challenge = answer(401, "", 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5')
    assert get(peer.answer("/d", challenge, ok("in")), auth=httpx.DigestAuth("u", "p")).text == "in"
    assert [tags(span)["http.status_code"] for span in spans] == [401, 200]
    assert resends(spans) == [None, 1]


def test_a_hook_that_asks_elsewhere_makes_a_call_of_its_own(peer: Peer, spans: Recorded) -> None:
    def hook(response: httpx.Response) -> None:
        if response.url.path == "/1":
            get(peer.url + "/token")

    peer.answer("/1", redirect("/2"))
    with Client(event_hooks={"response": [hook]}, follow_redirects=True) as client:
        client.get(peer.url + "/1")
    found = {tags(span)["http.url"].rpartition("/")[2]: tags(span).get("http.request.resend_count") for span in spans}
    assert found == {"1": None, "token": None, "2": 1}


def test_a_hook_that_raises_reaches_the_program_and_ends_the_span(peer: Peer, spans: Recorded) -> None:
    def hook(response: httpx.Response) -> None:
        raise ValueError("mine")

    with Client(event_hooks={"response": [hook]}) as client, pytest.raises(ValueError, match="mine") as raised:
        client.get(peer.url + "/")
    assert spans.one().failure is None
    del raised


def test_too_many_redirects(peer: Peer, spans: Recorded) -> None:
    with Client(max_redirects=2, follow_redirects=True) as client, pytest.raises(httpx.TooManyRedirects):
        client.get(peer.answer("/loop", redirect("/loop")))
    assert len(spans) == len(peer.received) == 3


def test_transports_of_the_program(peer: Peer, spans: Recorded) -> None:
    class Again(httpx.BaseTransport):
        def __init__(self) -> None:
            self.real = httpx.HTTPTransport(verify=False)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            self.real.handle_request(request).close()
            return self.real.handle_request(request)

        def close(self) -> None:
            self.real.close()

    with Client(transport=Again()) as client:
        client.get(peer.url + "/")
    assert resends(spans) == [None, 1]
    with Client(transport=httpx.MockTransport(lambda request: httpx.Response(299))) as client:
        assert client.get("http://x/").status_code == 299
    assert len(spans) == 2


def test_a_transport_without_a_client(peer: Peer, spans: Recorded) -> None:
    """Even if another library's call is in progress, and nobody closes the body after reading it."""
    other = Call("requests", None, "http://other/")
    other.exchanges = 3
    token = current_call.set(other)
    with httpx.HTTPTransport(verify=False) as transport:
        response = transport.handle_request(httpx.Request("GET", peer.url + "/x"))
        assert b"".join(response.stream) == b"hello"  # type: ignore[arg-type]
        assert tags(spans.one())["http.url"] == peer.url + "/x"
    current_call.reset(token)
    assert (other.url, other.exchanges, resends(spans)) == ("http://other/", 3, [None])


def test_an_async_transport_without_a_client(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with httpx.AsyncHTTPTransport(verify=False) as transport:
            response = await transport.handle_async_request(httpx.Request("GET", peer.url + "/x"))
            assert [part async for part in response.stream] == [b"hello"]  # type: ignore[union-attr]
            assert len(spans) == 1

    asyncio.run(story())


# Failures, proxies ----------------------------------------------------------------------------------------------------


def test_a_timeout_is_recorded_by_its_name(peer: Peer, spans: Recorded) -> None:
    with pytest.raises(httpx.ReadTimeout):
        get(peer.answer("/slow", b"hold"), timeout=0.05)
    failure = spans.one().failure
    assert failure is not None
    assert failure.type == "httpx.ReadTimeout"


def test_through_a_proxy_the_span_names_the_server_not_the_proxy(peer: Peer, spans: Recorded) -> None:
    peer.answer("http://billing.invalid/pay", ok("paid"))
    assert get("http://billing.invalid/pay", proxy=peer.url).text == "paid"
    known = tags(spans.one())
    assert (known["peer.hostname"], known["peer.port"]) == ("billing.invalid", 80)


def test_a_proxy_that_refuses_the_tunnel_is_recorded(peer: Peer, spans: Recorded) -> None:
    peer.answer("example.invalid:443", answer(403, "no"))
    with pytest.raises(httpx.ProxyError):
        get("https://example.invalid/?token=s3cret", proxy=peer.url)
    span = spans.one()
    assert span.failure is not None
    assert (tags(span)["peer.hostname"], tags(span)["peer.port"]) == ("example.invalid", 443)
    assert peer.received[0].header("traceparent") is None


def test_what_cannot_be_sent_fails_as_without_autotrace(spans: Recorded) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        get("no-url")
    with pytest.raises(httpx.UnsupportedProtocol):
        get("ftp://x/")
    with pytest.raises(TypeError):
        Client().send()  # type: ignore[call-arg]
    with pytest.raises(RuntimeError):
        Client().send(httpx.Request("GET", "http://x/", stream=httpx.AsyncByteStream()))  # type: ignore[arg-type]
    assert spans == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (patch, "Call"),
        (call, "Call"),
        (patch, "Exchange"),
        (patch, "_injected"),
        (Call, "start_exchange"),
        (patch, "header_changes"),
        (patch, "has_no_body"),
    ],
)
def test_if_autotrace_fails_the_call_goes_on(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("autotrace's own")

    async def story() -> None:
        async with AsyncClient() as client:
            assert (await client.get(peer.url + "/")).text == "hello"

    monkeypatch.setattr(owner, name, broken)
    with record():
        assert httpx.HTTPTransport(verify=False).handle_request(httpx.Request("GET", peer.url)).read() == b"hello"
        assert get(peer.url + "/").text == "hello"
        asyncio.run(story())
        with pytest.raises(httpx.ConnectError):
            get(f"http://127.0.0.1:{free_port()}/")
    assert containment.failures
    containment.failures.clear()
    gc.collect()


def test_patched_twice_is_patched_once(peer: Peer, spans: Recorded) -> None:
    plan = Plan()
    patch.clients(httpx._client, plan)
    plan.apply()
    get(peer.url + "/")
    assert len(spans) == 1


def test_a_library_imported_before_activation_is_patched(peer: Peer) -> None:
    program = f"from httpx import get\nimport autotrace.activation as a; a.activate()\nget('{peer.url}/early')\n"
    done = programs._run((sys.executable, "-c", program), None, programs.environment(AUTOTRACE_EXPORTER="none"))
    assert (done.returncode, done.stderr) == (0, "")
    assert peer.received[0].header("traceparent") is not None
