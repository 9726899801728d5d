"""Tornado on a real socket: every promise of an HTTP server, nested routers, its answers in the form of exceptions."""

from __future__ import annotations

import asyncio
import logging
import socket
import types
from collections.abc import Iterator
from typing import Any

import pytest
import tornado.httpserver
import tornado.routing
import tornado.web
import tornado.websocket

from autotrace import containment
from autotrace.patches import tornado as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.async_http_server import AsyncHttpServer
from tests.contracts.http_server import HttpServer, finished
from tests.http_server import asgi_servers, asgi_story, wsgi_story
from tests.recorded import Recorded, record, tags


class Hello(tornado.web.RequestHandler):
    async def get(self, name: str) -> None:
        self.write(await asgi_story.hello(name))


class AtOnce(tornado.web.RequestHandler):
    def get(self, name: str) -> None:
        self.write(wsgi_story.hello(name))


class Slow(tornado.web.RequestHandler):
    async def get(self, name: str) -> None:
        self.write(await asgi_story.slow(name))


class Boom(tornado.web.RequestHandler):
    async def get(self) -> None:
        self.write(wsgi_story.boom())


class Teapot(tornado.web.RequestHandler):
    def get(self) -> None:
        raise tornado.web.HTTPError(418)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.write("tea")


class Unavailable(tornado.web.RequestHandler):
    def get(self) -> None:
        raise tornado.web.HTTPError(503)


class Finished(tornado.web.RequestHandler):
    def get(self) -> None:
        raise tornado.web.Finish("enough")


class Stream(tornado.web.RequestHandler):
    async def get(self) -> None:
        async for part in asgi_story.parts():
            self.write(part)
            await self.flush()


class Endless(tornado.web.RequestHandler):
    async def get(self) -> None:
        async for part in asgi_story.endless():
            self.write(part)
            await self.flush()


class Call(tornado.web.RequestHandler):
    async def get(self) -> None:
        self.write(await asgi_story.call(self.get_argument("url")))


class Later(tornado.web.RequestHandler):
    async def get(self) -> None:
        await self.finish("soon")
        await asgi_story.later()


class Socket(tornado.websocket.WebSocketHandler):
    def open(self, name: str) -> None:  # type: ignore[override]
        self.name = name

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(await asgi_story.hello(self.name))


def rules() -> list[Any]:
    return [
        (r"/hello/([^/]+)", Hello),
        (r"/atonce/(?P<name>[^/]+)", AtOnce),
        (r"/atonce2/(?P<name>[^/]+)", AtOnce),
        (r"/slow/([^/]+)", Slow),
        (r"/boom", Boom),
        (r"/teapot", Teapot),
        (r"/unavailable", Unavailable),
        (r"/finished", Finished),
        (r"/stream", Stream),
        (r"/endless", Endless),
        (r"/call", Call),
        (r"/later", Later),
        (r"/ws/([^/]+)", Socket),
    ]


def serving(app: Any) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)

    async def serve(stop: asyncio.Event) -> None:
        server = tornado.httpserver.HTTPServer(app)
        server.add_socket(listener)
        await stop.wait()
        server.stop()

    yield from asgi_servers.in_loop(serve, f"http://127.0.0.1:{listener.getsockname()[1]}")


@pytest.fixture(autouse=True)
def quiet() -> None:
    for name in ("tornado.access", "tornado.application", "tornado.general"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class TestTornado(AsyncHttpServer):
    component = "tornado"
    hello_route, websocket_route = "/hello/([^/]+)", "/ws/([^/]+)"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from serving(tornado.web.Application(rules()))

    def test_an_answer_in_the_form_of_an_exception_is_none(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/finished") == (200, "enough")
        assert self.ask(url, "/unavailable")[0] == 503
        enough, unavailable = finished(spans, 2)
        assert (tags(enough)["http.status_code"], "error" in tags(enough)) == (200, False)
        assert (tags(unavailable)["http.status_code"], tags(unavailable)["error"]) == (503, True)
        assert unavailable.failure is None

    def test_a_handler_of_two_rules_is_named_by_the_right_one(self, url: str, spans: Recorded) -> None:
        self.ask(url, "/atonce2/bob")
        self.ask(url, "/atonce/bob")
        assert [span.name for span in finished(spans, 2)] == [
            "GET /atonce2/(?P<name>[^/]+)",
            "GET /atonce/(?P<name>[^/]+)",
        ]

    def test_a_websocket_that_is_none_is_refused(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/ws/bob")[0] == 400
        assert tags(finished(spans, 1)[0])["http.status_code"] == 400


def test_the_route_below_nested_routers(spans: Recorded) -> None:
    inner = tornado.web.Application([(r"/shop/hello/([^/]+)", Hello)])
    router = tornado.routing.RuleRouter([tornado.routing.Rule(tornado.routing.PathMatches("/shop.*"), inner)])
    for url in serving(router):
        assert HttpServer().ask(url, "/shop/hello/bob") == (200, "hello bob")
        assert finished(spans, 1)[0].name == "GET /shop/hello/([^/]+)"


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.patches.tornado.start_request",
        "autotrace.http_server.request.Request",
        "autotrace.patches.tornado.current_request",
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
        for url in serving(tornado.web.Application(rules())):
            assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
            assert HttpServer().ask(url, "/boom")[0] == 500
            assert AsyncHttpServer().websocket(url, "/ws/bob") == "hello bob"
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    before = tornado.web.RequestHandler._execute, tornado.routing.RuleRouter.get_target_delegate
    plan = Plan()
    patch.handlers(tornado.web, plan)
    patch.routing(tornado.routing, plan)
    plan.apply()
    assert (tornado.web.RequestHandler._execute, tornado.routing.RuleRouter.get_target_delegate) == before


def test_modules_without_what_is_needed_are_refused_whole() -> None:
    fake = types.ModuleType("tornado.web")
    fake.RequestHandler = tornado.web.RequestHandler  # type: ignore[attr-defined]
    with pytest.raises(Unpatchable, match="iostream"):
        patch.handlers(fake, Plan())
    with pytest.raises(Unpatchable, match="RuleRouter"):
        patch.routing(fake, Plan())
