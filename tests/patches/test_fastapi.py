"""FastAPI: every promise of an HTTP server, routes of included routers, no second span by its own telemetry."""

from __future__ import annotations

import types
from collections.abc import Iterator

import fastapi.applications
import fastapi.routing
import pytest

from autotrace.patches import fastapi as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.async_http_server import AsyncHttpServer
from tests.contracts.http_server import HttpServer, finished
from tests.http_server import asgi_servers, starlette_story
from tests.recorded import Recorded, tags


class TestFastapi(AsyncHttpServer):
    component = "fastapi"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.uvicorn(starlette_story.fastapi_app())

    def test_the_route_of_an_included_router_is_whole(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/shop/a/outer/inner/item/7") == (200, '"hello a 7"')
        assert finished(spans, 1)[0].name == "GET /shop/{shop}/outer/inner/item/{item}"

    def test_a_route_of_starlette_s_in_an_included_router(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/shop/a/plain/bob") == (200, "hello bob")
        assert finished(spans, 1)[0].name == "GET /shop/{shop}/plain/{name}"

    def test_what_does_not_validate_has_its_route(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/shop/a/outer/inner/item/seven")[0] == 422
        assert finished(spans, 1)[0].name == "GET /shop/{shop}/outer/inner/item/{item}"

    def test_its_own_telemetry_adds_nothing(self, url: str, spans: Recorded) -> None:
        self.ask(url, "/teapot")
        finished(spans, 1)
        assert [span.name for span in spans] == ["GET /teapot"]


def test_one_that_is_mounted_in_another_in_starlette(spans: Recorded) -> None:
    outer = fastapi.FastAPI()
    outer.mount("/sub", starlette_story.fastapi_app())
    for url in asgi_servers.uvicorn(starlette_story.mounted(outer)):
        assert HttpServer().ask(url, "/acme/v1/sub/shop/a/outer/inner/item/7") == (200, '"hello a 7"')
        assert HttpServer().ask(url, "/acme/v1/sub/boom")[0] == 500
        named, failed = finished(spans, 2)
    assert named.name == "GET /{tenant}/v1/sub/shop/{shop}/outer/inner/item/{item}"
    assert failed.name == "GET /{tenant}/v1/sub/boom"
    assert (tags(failed)["error.type"], tags(failed)["component"]) == ("ZeroDivisionError", "fastapi")


def test_patched_twice_is_patched_once() -> None:
    names = [(fastapi.FastAPI, "__call__"), (fastapi.routing, "_route_selected")]
    before = [getattr(owner, name, None) for owner, name in names]
    plan = Plan()
    patch.application(fastapi.applications, plan)
    patch.routes(fastapi.routing, plan)
    plan.apply()
    assert [getattr(owner, name, None) for owner, name in names] == before


def test_a_module_without_what_is_needed_is_refused_whole() -> None:
    with pytest.raises(Unpatchable, match="NativeTelemetry"):
        patch.telemetry(types.ModuleType("fastapi.telemetry._asgi"), Plan())
    with pytest.raises(Unpatchable, match="_unconfigured"):
        patch.configuration(types.ModuleType("fastapi.telemetry._runtime"), Plan())
    with pytest.raises(Unpatchable, match="APIRoute"):
        patch.routes(types.ModuleType("fastapi.routing"), Plan())
