"""aiohttp.web on a real socket: every promise of an HTTP server, sub-applications, exceptions that are answers."""

from __future__ import annotations

import asyncio
import logging
import socket
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp.web_protocol
import pytest
from aiohttp import web

from autotrace import containment
from autotrace.patches import aiohttp_web as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.async_http_server import AsyncHttpServer
from tests.contracts.http_server import HttpServer, finished
from tests.http_server import asgi_servers, asgi_story, wsgi_story
from tests.recorded import Recorded, is_child, record, tags

routes = web.RouteTableDef()
background: set[Any] = set()


@routes.get("/hello/{name}")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text=await asgi_story.hello(request.match_info["name"]))


@routes.get("/slow/{name}")
async def slow(request: web.Request) -> web.Response:
    return web.Response(text=await asgi_story.slow(request.match_info["name"]))


@routes.get("/boom")
async def failing(request: web.Request) -> web.Response:
    return web.Response(text=wsgi_story.boom())


@routes.get("/teapot")
async def teapot(request: web.Request) -> web.Response:
    return web.Response(text="tea", status=418)


@routes.get("/refused")
async def refused(request: web.Request) -> web.Response:
    raise web.HTTPForbidden


@routes.get("/unavailable")
async def unavailable(request: web.Request) -> web.Response:
    raise web.HTTPServiceUnavailable


@routes.get("/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for part in asgi_story.parts():
        await response.write(part)
    return response


@routes.get("/endless")
async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for part in asgi_story.endless():
        await response.write(part)
    return response


@routes.get("/call")
async def call(request: web.Request) -> web.Response:
    return web.Response(text=await asgi_story.call(request.query["url"]))


@routes.get("/later")
async def later(request: web.Request) -> web.Response:
    task = asyncio.get_running_loop().create_task(asgi_story.later())
    background.add(task)
    task.add_done_callback(background.discard)
    return web.Response(text="soon")


@routes.get("/ws/{name}")
async def websocket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse()
    await response.prepare(request)
    await response.receive_str()
    await response.send_str(await asgi_story.hello(request.match_info["name"]))
    await response.receive()
    return response


def application() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.router.add_static("/files", Path(__file__).parent)
    return app


def serving(runner: Any) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))

    async def serve(stop: asyncio.Event) -> None:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        await stop.wait()
        await runner.cleanup()

    yield from asgi_servers.in_loop(serve, f"http://127.0.0.1:{listener.getsockname()[1]}")


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL + 1)


class TestAiohttp(AsyncHttpServer):
    component = "aiohttp.web"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from serving(web.AppRunner(application(), shutdown_timeout=0.1))

    def test_an_answer_in_the_form_of_an_exception_is_none(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/refused")[0] == 403
        assert self.ask(url, "/unavailable")[0] == 503
        refused, unavailable = finished(spans, 2)
        assert "error" not in tags(refused)
        assert (tags(unavailable)["http.status_code"], tags(unavailable)["error"]) == (503, True)
        assert unavailable.failure is None

    def test_static_files_are_named_by_their_folder(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, f"/files/{Path(__file__).name}")[0] == 200
        assert finished(spans, 1)[0].name == "GET /files"

    def test_a_wrong_method_has_no_route(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/teapot", method="POST")[0] == 405
        assert finished(spans, 1)[0].name == "POST"


def test_the_route_of_a_sub_application_is_whole(spans: Recorded) -> None:
    outer = web.Application()
    outer.add_subapp("/v1", application())
    for url in serving(web.AppRunner(outer)):
        assert HttpServer().ask(url, "/v1/hello/bob") == (200, "hello bob")
        assert finished(spans, 1)[0].name == "GET /v1/hello/{name}"


def test_middleware_works_in_the_span(spans: Recorded) -> None:
    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> Any:
        await asgi_story.hello("middleware")
        return await handler(request)

    app = web.Application(middlewares=[middleware])
    app.add_routes(routes)
    for url in serving(web.AppRunner(app)):
        HttpServer().ask(url, "/teapot")
        (server,) = finished(spans, 1)
    assert is_child(next(span for span in spans if span.name == "inside"), server)


def test_a_server_without_an_application(spans: Recorded) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text="bare")

    class Runner(web.ServerRunner):
        async def setup(self) -> None:  # in the loop, which a Server needs from the beginning
            self._web_server = web.Server(handler)
            await super().setup()

    for url in serving(Runner(None)):  # type: ignore[arg-type]
        assert HttpServer().ask(url, "/x") == (200, "bare")
        assert finished(spans, 1)[0].name == "GET"


def test_what_is_no_request_breaks_nothing(spans: Recorded) -> None:
    for url in serving(web.AppRunner(application())):
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert b"400" in connection.makefile("rb").read()
    assert spans == []


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.patches.aiohttp_web.start_request",
        "autotrace.http_server.request.Request",
        "autotrace.patches.aiohttp_web.current_request",
        "autotrace.http_server.hooks.current_request",
        "autotrace.http_server.request.Request.set_route",
        "autotrace.tracing.propagate.extract_http",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        for url in serving(web.AppRunner(application())):
            assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
            assert HttpServer().ask(url, "/boom")[0] == 500
            assert AsyncHttpServer().websocket(url, "/ws/bob") == "hello bob"
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    before = aiohttp.web_protocol.RequestHandler._handle_request
    plan = Plan()
    patch.protocol(aiohttp.web_protocol, plan)
    plan.apply()
    assert aiohttp.web_protocol.RequestHandler._handle_request is before


def test_modules_without_what_is_needed_are_refused_whole() -> None:
    fake = types.ModuleType("aiohttp.web_protocol")
    names = {"_handle_request": lambda self, request: None}
    fake.RequestHandler = type("RequestHandler", (), names)  # type: ignore[attr-defined]
    with pytest.raises(Unpatchable, match="handle_error"):
        patch.protocol(fake, Plan())
    with pytest.raises(Unpatchable, match="WebSocketResponse"):
        patch.websockets(fake, Plan())
