"""Starlette, two servers and its test client: every promise of an HTTP server, one span however they are stacked."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest
import starlette.applications
import starlette.routing
from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route
from starlette.testclient import TestClient

from autotrace import containment
from autotrace.patches import starlette as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.async_http_server import AsyncHttpServer
from tests.contracts.http_server import finished
from tests.http_server import asgi_servers, starlette_story, wsgi_story
from tests.recorded import Recorded, is_child, record, tags


class TestStarletteUnderUvicorn(AsyncHttpServer):
    component = "starlette"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.uvicorn(starlette_story.starlette())

    def test_an_endpoint_in_a_thread_works_in_the_span(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/thread") == (200, "hello thread")
        (server,) = finished(spans, 1)
        assert is_child(next(span for span in spans if span.name == "inside"), server)


class TestStarletteUnderHypercorn(AsyncHttpServer):
    component = "starlette"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.hypercorn(starlette_story.starlette())


class TestStarletteBehindMiddleware(AsyncHttpServer):
    """BaseHTTPMiddleware runs the application in a task of its own and gives it another receive."""

    component = "starlette"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.uvicorn(starlette_story.behind_middleware())


class Copying:
    """Middleware that hands on a copy of the scope with other headers."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app({**scope, "headers": [*scope.get("headers", ()), (b"x", b"y")]}, receive, send)


class TestStarletteBehindACopyOfTheScope(AsyncHttpServer):
    component = "starlette"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.uvicorn(Copying(starlette_story.starlette()))


# Without a server: the test client ------------------------------------------------------------------------------------


def client(app: Any) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def test_the_route_of_mounted_applications_is_whole(spans: Recorded) -> None:
    inner = Starlette(routes=[Mount("/inner", routes=starlette_story.routes())])
    assert client(starlette_story.mounted(inner)).get("/acme/v1/inner/hello/bob").text == "hello bob"
    assert spans.servers[0].name == "GET /{tenant}/v1/inner/hello/{name}"
    assert len(spans.servers) == 1


def test_a_path_below_a_mount_that_nobody_knows_is_named_by_the_mount(spans: Recorded) -> None:
    assert client(starlette_story.mounted(starlette_story.starlette())).get("/acme/v1/none/4711").status_code == 404
    assert spans.servers[0].name == "GET /{tenant}/v1"


def test_what_is_tried_after_a_mount_has_its_own_route(spans: Recorded) -> None:
    from starlette.routing import Router

    first = Mount("/a", routes=[])

    async def both(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(HTTPException):
            await first.handle({**scope, "path": "/a/x"}, receive, send)
        await Router(starlette_story.routes())(scope, receive, send)

    assert client(Starlette(routes=[Mount("", app=both)])).get("/hello/bob").text == "hello bob"
    assert spans.servers[0].name == "GET /hello/{name}"


def test_routes_of_a_host(spans: Recorded) -> None:
    app = Starlette(routes=[Host("testserver", app=starlette_story.starlette())])
    assert client(app).get("/hello/bob").text == "hello bob"
    assert [span.name for span in spans.servers] == ["GET /hello/{name}"]


def test_a_wsgi_application_that_is_mounted_joins_the_request(spans: Recorded) -> None:
    app = Starlette(routes=[Mount("/old", app=WSGIMiddleware(wsgi_story.flask_app()))])
    assert client(app).get("/old/hello/bob").text == "hello bob"
    (server,) = spans.servers
    assert (server.name, tags(server)["component"]) == ("GET /old/hello/<name>", "flask")
    assert is_child(next(span for span in spans if span.name == "inside"), server)


def test_a_request_made_to_itself_is_a_request_of_its_own(spans: Recorded) -> None:
    app = starlette_story.starlette()

    def twice(request: Request) -> Response:
        return PlainTextResponse(client(app).get("/hello/me").text)

    app.routes.append(Route("/twice", twice))
    assert client(app).get("/twice").text == "hello me"
    inner, outer = spans.servers
    assert (inner.name, outer.name) == ("GET /hello/{name}", "GET /twice")
    assert is_child(inner, outer)


def test_an_exception_that_the_program_handles_is_no_failure(spans: Recorded) -> None:
    def sorry(request: Request, error: Exception) -> Response:
        return PlainTextResponse("sorry", 400)

    app = Starlette(routes=starlette_story.routes(), exception_handlers={ZeroDivisionError: sorry})
    assert client(app).get("/boom").text == "sorry"
    assert "error" not in tags(spans.servers[0])


def test_an_exception_that_becomes_the_program_s_own_500_page_is_one(spans: Recorded) -> None:
    def page(request: Request, error: Exception) -> Response:
        return PlainTextResponse("page", 500)

    app = Starlette(routes=starlette_story.routes(), exception_handlers={500: page})
    assert client(app).get("/boom").text == "page"
    assert tags(spans.servers[0])["error.type"] == "ZeroDivisionError"


def test_an_exception_reaches_the_program(spans: Recorded) -> None:
    with pytest.raises(ZeroDivisionError):
        TestClient(starlette_story.starlette()).get("/boom")
    assert tags(spans.servers[0])["http.status_code"] == 500


def test_nothing_of_ours_is_in_the_scope(spans: Recorded) -> None:
    async def keys(request: Request) -> Response:
        return PlainTextResponse(str([key for key in request.scope if "autotrace" in key]))

    assert client(Starlette(routes=[Route("/", keys)])).get("/").text == "[]"


# Our own failures, and patching ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.request.Request",
        "autotrace.patches.starlette.current_request",
        "autotrace.http_server.asgi.current_request",
        "autotrace.http_server.asgi.adopt",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        for url in asgi_servers.uvicorn(starlette_story.mounted(starlette_story.starlette())):
            assert AsyncHttpServer().ask(url, "/acme/v1/hello/bob") == (200, "hello bob")
            assert AsyncHttpServer().ask(url, "/acme/v1/boom")[0] == 500
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    before = Starlette.__call__, Route.handle
    plan = Plan()
    patch.application(starlette.applications, plan)
    patch.routes(starlette.routing, plan)
    plan.apply()
    assert (Starlette.__call__, Route.handle) == before


def test_modules_without_what_is_needed_are_refused_whole() -> None:
    fake = types.ModuleType("starlette.routing")
    fake.Route = fake.WebSocketRoute = Route  # type: ignore[attr-defined]
    with pytest.raises(Unpatchable, match="Mount"):
        patch.routes(fake, Plan())
