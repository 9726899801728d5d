"""aiohttp's client on a real socket: every promise of an HTTP client, and those for sessions and websockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import aiohttp.abc
import aiohttp.web
import pytest

from autotrace import containment
from autotrace.http_client import call
from autotrace.http_client.call import Call
from autotrace.patches import aiohttp as patch
from autotrace.patching import Plan
from tests import programs
from tests.contracts.async_http_client import AsyncHttpClient
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer, answer, free_port, ok, redirect
from tests.recorded import Recorded, record, tags


class AsyncBody:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.read = response.read

    async def close(self) -> None:
        self.response.close()


class TestAiohttp(AsyncHttpClient):
    component = "aiohttp"
    connection_error = aiohttp.ClientError
    read_error = aiohttp.ClientError
    reads_ahead = True

    async def begin(self) -> None:
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5))

    async def end(self) -> None:
        await self.session.close()

    async def aget(self, url: str, headers: dict[str, str] | None = None) -> int:
        async with self.session.get(url, headers=headers) as response:
            await response.read()
            return response.status

    async def aopen(self, url: str) -> AsyncBody:
        return AsyncBody(await self.session.get(url))

    def test_the_span_ends_when_nobody_holds_the_response(self, peer: Peer, spans: Recorded) -> None:
        """aiohttp's connection holds the response, so the span ends with the connection."""
        body = self.open(peer.answer("/s", http_peer.PART))
        assert spans == []
        del body
        self.run(self.end())
        self.run(asyncio.sleep(0.01))
        gc.collect()
        assert len(spans) == 1


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


def resends(spans: Recorded) -> list[int | None]:
    return [tags(span).get("http.request.resend_count") for span in spans]


async def get(url: str, **options: Any) -> bytes:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session,
        session.get(url, **options) as response,
    ):
        return await response.read()


# What the program holds -----------------------------------------------------------------------------------------------


def test_no_trace_header_is_to_be_seen_in_what_the_program_holds(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession(headers={"X-B": "3"}) as session:
            async with session.post(peer.url + "/", data=b"abc", headers=[("X-A", "1"), ("X-A", "2")]) as response:
                assert "traceparent" not in response.request_info.headers
                assert response.request_info.headers.getall("X-A") == ["1", "2"]
            assert dict(session.headers) == {"X-B": "3"}

    asyncio.run(story())
    (request,) = peer.received
    assert [value for name, value in request.headers if name == "X-A"] == ["1", "2"]
    assert (request.header("X-B"), request.body) == ("3", b"abc")
    assert request.header("X-B3-SpanId") == f"{spans.one().span_id:016x}"


def test_functions_stay_what_they_were() -> None:
    assert inspect.iscoroutinefunction(aiohttp.ClientSession._request)
    assert inspect.iscoroutinefunction(aiohttp.BaseConnector.connect)
    assert inspect.iscoroutinefunction(aiohttp.ClientResponse.read)


def test_the_span_is_active_in_the_program_s_hooks(peer: Peer, spans: Recorded) -> None:
    from opentelemetry import trace

    seen: list[Any] = []

    async def noted(*args: Any) -> None:
        seen.append(trace.get_current_span())

    config = aiohttp.TraceConfig()
    for signal in (config.on_connection_create_start, config.on_request_headers_sent):
        signal.append(noted)

    async def story() -> None:
        async with aiohttp.ClientSession(trace_configs=[config]) as session, session.get(peer.url + "/") as response:
            await response.read()

    asyncio.run(story())
    assert seen == [spans.one()] * len(seen) != []


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_a_body_beyond_the_buffer_ends_its_span_with_the_last_piece(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        url = peer.answer("/s", ok("x" * 2_000_000))
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            pieces = response.content.iter_chunked(1000)
            await pieces.__anext__()
            assert spans == []
            async for _ in pieces:
                pass
            assert len(spans) == 1

    asyncio.run(story())
    assert spans.one().failure is None


@pytest.mark.parametrize("raw", [http_peer.TRUNCATED, http_peer.TRUNCATED_CHUNKS], ids=["length", "chunked"])
def test_a_body_that_breaks_off_while_it_is_streamed_is_an_error(peer: Peer, spans: Recorded, raw: bytes) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientPayloadError):
                async with session.get(peer.answer("/s", raw)) as response:
                    async for _ in response.content.iter_any():
                        pass

    asyncio.run(story())
    assert spans.one().failure is not None


def test_a_cancelled_stream_is_an_error(peer: Peer, spans: Recorded) -> None:
    async def stream() -> None:
        async with aiohttp.ClientSession() as session, session.get(peer.answer("/s", http_peer.PART)) as response:
            async for _ in response.content.iter_any():
                pass

    async def story() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream(), 0.05)

    asyncio.run(story())
    failure = spans.one().failure
    assert failure is not None
    assert failure.type == "asyncio.exceptions.CancelledError"


def test_a_reader_that_gives_up_is_no_error(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(KeyError):
                async with session.get(peer.answer("/s", http_peer.PART)):
                    raise KeyError("mine")

    asyncio.run(story())
    assert spans.one().failure is None


def test_an_async_body_that_makes_calls_while_it_is_sent(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:

            async def body() -> AsyncIterator[bytes]:
                yield b"a"
                await (await session.get(peer.url + "/inner")).read()

            async with session.post(peer.url + "/outer", data=body()) as response:
                await response.read()

    asyncio.run(story())
    inner, outer = spans
    assert inner.parent_id == outer.span_id
    assert resends(spans) == [None, None]


# Calls in several parts -----------------------------------------------------------------------------------------------


def test_a_kept_connection_that_the_server_has_closed_is_two_exchanges(peer: Peer, spans: Recorded) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            await (await session.get(peer.url + "/a")).read()
            await (await session.get(peer.answer("/b", b"", ok("yes")))).read()

    asyncio.run(story())
    assert [tags(span)["http.url"].rpartition("/")[2] for span in spans] == ["a", "b", "b"]
    assert [span.failure is None for span in spans] == [True, False, True]
    assert resends(spans) == [None, None, 1]


def test_too_many_redirects(peer: Peer, spans: Recorded) -> None:
    with pytest.raises(aiohttp.TooManyRedirects):
        asyncio.run(get(peer.answer("/loop", redirect("/loop")), max_redirects=2))
    assert len(spans) == len(peer.received) == 2


def test_raise_for_status_is_the_program_s_error_and_the_span_s_status(peer: Peer, spans: Recorded) -> None:
    with pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(get(peer.answer("/e", answer(500, "no")), raise_for_status=True))
    span = spans.one()
    assert span.failure is None
    assert tags(span)["http.status_code"] == 500


def test_middlewares_that_send_again(peer: Peer, spans: Recorded) -> None:
    if not hasattr(aiohttp, "ClientMiddlewareType"):
        return  # aiohttp < 3.12 has none

    async def twice(request: Any, handler: Any) -> Any:
        (await handler(request)).release()
        return await handler(request)

    assert asyncio.run(get(peer.url + "/", middlewares=(twice,))) == b"hello"
    assert resends(spans) == [None, 1]


def test_middlewares_that_give_up(peer: Peer, spans: Recorded) -> None:
    if not hasattr(aiohttp, "ClientMiddlewareType"):
        return  # aiohttp < 3.12 has none

    async def impatient(request: Any, handler: Any) -> Any:
        for _ in range(2):
            with contextlib.suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(handler(request), 0.05)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(get(peer.answer("/slow", b"hold"), middlewares=(impatient,)))
    assert resends(spans) == [None, 1]
    assert [span.failure.type for span in spans if span.failure] == ["asyncio.exceptions.CancelledError", "KeyError"]


def test_a_websocket_is_the_span_of_its_handshake(spans: Recorded) -> None:
    async def echo(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def story() -> None:
        app = aiohttp.web.Application()
        app.router.add_get("/ws", echo)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/ws"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            assert len(spans.clients) == 1
            await socket.send_str("hello")
            assert (await socket.receive()).data == "hello"
        await runner.cleanup()

    asyncio.run(story())
    (client,) = spans.clients
    assert tags(client)["http.status_code"] == 101


# Failures, proxies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [aiohttp.ClientTimeout(total=0.05), aiohttp.ClientTimeout(sock_read=0.05)])
def test_a_timeout_is_recorded_by_its_name(peer: Peer, spans: Recorded, timeout: Any) -> None:
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(get(peer.answer("/slow", b"hold"), timeout=timeout))
    failure = spans.one().failure
    assert failure is not None
    assert failure.type.endswith("TimeoutError")


def test_a_timeout_before_there_is_a_connection_is_recorded_by_its_name(spans: Recorded) -> None:
    class Slow(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(5)

        async def close(self) -> None: ...

    async def story() -> None:
        connector = aiohttp.TCPConnector(resolver=Slow())
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(0.05)) as session:
            with pytest.raises(asyncio.TimeoutError):
                await session.get("http://slow.invalid/")

    asyncio.run(story())
    failure = spans.one().failure
    assert failure is not None
    assert failure.type.endswith("TimeoutError")


def test_through_a_proxy_the_span_names_the_server_not_the_proxy(peer: Peer, spans: Recorded) -> None:
    peer.answer("http://billing.invalid/pay", ok("paid"))
    assert asyncio.run(get("http://billing.invalid/pay", proxy=peer.url)) == b"paid"
    known = tags(spans.one())
    assert (known["peer.hostname"], known["peer.port"]) == ("billing.invalid", 80)


def test_a_proxy_that_refuses_the_tunnel_is_recorded(peer: Peer, spans: Recorded) -> None:
    peer.answer("example.invalid:443", answer(403, "no"))
    with pytest.raises(aiohttp.ClientHttpProxyError):
        asyncio.run(get("https://example.invalid/?token=s3cret", proxy=peer.url))
    span = spans.one()
    assert span.failure is not None
    assert "s3cret" not in span.failure.message
    assert (tags(span)["peer.hostname"], tags(span)["peer.port"]) == ("example.invalid", 443)
    assert "http.status_code" not in tags(span)
    assert peer.received[0].header("traceparent") is None


def test_what_cannot_be_sent_makes_no_span(spans: Recorded) -> None:
    with pytest.raises(aiohttp.InvalidURL):
        asyncio.run(get("no-url"))
    with pytest.raises(TypeError):
        asyncio.run(get("http://x/", nonsense=1))
    assert spans == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (call, "Call"),
        (Call, "start_exchange"),
        (patch, "host_of"),
        (patch, "Exchange"),
        (patch, "_start_exchange"),
        (patch.propagate, "injected"),
    ],
)
def test_if_autotrace_fails_the_call_goes_on(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("autotrace's own")

    monkeypatch.setattr(owner, name, broken)
    with record():
        assert asyncio.run(get(peer.url + "/")) == b"hello"
        assert len(asyncio.run(get(peer.answer("/long", ok("x" * 2_000_000))))) == 2_000_000
        with pytest.raises(aiohttp.ClientConnectorError):
            asyncio.run(get(f"http://127.0.0.1:{free_port()}/"))
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once(peer: Peer, spans: Recorded) -> None:
    plan = Plan()
    patch.sessions(aiohttp.client, plan)
    plan.apply()
    asyncio.run(get(peer.url + "/"))
    assert len(spans) == 1


def test_a_library_imported_before_activation_is_patched(peer: Peer) -> None:
    program = (
        "import aiohttp, asyncio\nimport autotrace.activation as a; a.activate()\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as session:\n"
        f"        await (await session.get('{peer.url}/early')).read()\n"
        "asyncio.run(main())\n"
    )
    done = programs._run((sys.executable, "-c", program), None, programs.environment(AUTOTRACE_EXPORTER="none"))
    assert (done.returncode, done.stderr) == (0, "")
    assert peer.received[0].header("traceparent") is not None
