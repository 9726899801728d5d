"""uvicorn on a real socket, a bare ASGI and a WSGI application, each protocol: every promise of an HTTP server."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn.config
from websockets.exceptions import InvalidStatus

from autotrace import containment
from autotrace.patches import uvicorn as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.async_http_server import AsyncHttpServer
from tests.contracts.http_server import HttpServer, finished
from tests.http_server import asgi_servers, asgi_story, starlette_story, wsgi_story
from tests.recorded import Recorded, record, tags


class TestUvicorn(AsyncHttpServer):
    component = "uvicorn"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.uvicorn(asgi_story.bare, http="h11", ws="wsproto")

    def test_a_websocket_that_is_refused(self, url: str, spans: Recorded) -> None:
        with pytest.raises(InvalidStatus):
            self.websocket(url, "/no")
        (span,) = finished(spans, 1)
        assert tags(span)["http.status_code"] == 403

    def test_nothing_of_where_the_server_was_started_is_current(self, spans: Recorded) -> None:
        from opentelemetry import trace

        with trace.get_tracer("t").start_as_current_span("main"):
            for url in asgi_servers.uvicorn(asgi_story.bare):
                self.ask(url, "/hello/bob")
                (server,) = finished(spans, 1)
                assert server.parent_id == 0


class TestUvicornOtherProtocols(AsyncHttpServer):
    component = "uvicorn"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        ws = "websockets-sansio" if "websockets-sansio" in uvicorn.config.WS_PROTOCOLS else "websockets"
        yield from asgi_servers.uvicorn(asgi_story.bare, http="httptools", ws=ws)


class TestUvicornWithWsgi(HttpServer):
    component = "uvicorn"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.uvicorn(wsgi_story.bare, interface="wsgi")


class TestUvicornWithFlask(HttpServer):
    """Two protocols, two frameworks, one span."""

    component = "flask"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        import logging

        logging.getLogger("story").setLevel(logging.CRITICAL)
        yield from asgi_servers.uvicorn(wsgi_story.flask_app(), interface="wsgi")


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.asgi._start_or_adopt",
        "autotrace.http_server.asgi.Url",
        "autotrace.http_server.asgi.Answer",
        "autotrace.http_server.asgi.Answer._note",
        "autotrace.http_server.request.Request",
        "autotrace.http_server.asgi.current_request",
        "autotrace.http_server.asgi.traced_application",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        for url in asgi_servers.uvicorn(asgi_story.bare):
            assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
            assert HttpServer().ask(url, "/stream") == (200, "ab")
            assert HttpServer().ask(url, "/boom")[0] == 500
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    before = uvicorn.config.Config.load
    plan = Plan()
    patch.configuration(uvicorn.config, plan)
    plan.apply()
    assert uvicorn.config.Config.load is before


def test_a_module_without_what_is_needed_is_refused_whole() -> None:
    fake = types.ModuleType("uvicorn.config")
    fake.Config = type("Config", (), {})  # type: ignore[attr-defined]
    with pytest.raises(Unpatchable, match="load"):
        patch.configuration(fake, Plan())


@pytest.mark.parametrize("interface", ["auto", "wsgi"])
def test_an_application_is_not_taken_for_a_factory(
    interface: str, spans: Recorded, capfd: pytest.CaptureFixture[str]
) -> None:
    """uvicorn calls it without arguments: an application that is no factory raises a TypeError at once."""
    app = starlette_story.starlette() if interface == "auto" else wsgi_story.flask_app()
    config = uvicorn.config.Config(app, interface=interface, log_level=60)  # type: ignore[arg-type]
    config.load()
    assert config.interface == ("asgi3" if interface == "auto" else "wsgi")
    assert "factory" not in capfd.readouterr().err
