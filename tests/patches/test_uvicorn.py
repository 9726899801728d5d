"""uvicorn on a real socket, a bare ASGI and a WSGI application, each protocol: every promise of an HTTP server."""

from __future__ import annotations

import asyncio
import importlib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn.config
import uvicorn.protocols
import uvicorn.server
from websockets.exceptions import InvalidStatus

from autotrace import containment
from autotrace.patches import uvicorn as patch
from autotrace.patching import MARK, Plan, Unpatchable
from tests import programs
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
        "autotrace.http_server.asgi.MethodType",
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


PROTOCOLS = [f"uvicorn.protocols.{name}_impl" for name in ("http.h11", "http.httptools", "websockets.wsproto")]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_patched_twice_is_patched_once(name: str) -> None:
    module = importlib.import_module(name)
    protocol = getattr(module, patch.CLASSES[name.rpartition(".")[2]])
    before = protocol.__init__
    assert hasattr(before, MARK)
    plan = Plan()
    patch.protocol(module, plan)
    patch.server(uvicorn.server, plan)
    plan.apply()
    assert protocol.__init__ is before


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_module_without_what_is_needed_is_refused_whole(name: str) -> None:
    fake = types.ModuleType(name)
    setattr(fake, patch.CLASSES[name.rpartition(".")[2]], type("Protocol", (), {"__init__": lambda self: None}))
    with pytest.raises(Unpatchable, match="config"):
        patch.protocol(fake, Plan())


def test_every_protocol_of_this_uvicorn_is_traced() -> None:
    """Those that read the application from the configuration: the others pass a connection on to one of them."""
    folder = Path(uvicorn.protocols.__file__).parent
    found = {path.stem for path in folder.rglob("*_impl.py") if "config.loaded_app" in path.read_text()}
    assert found <= set(patch.CLASSES)


def test_the_configuration_keeps_the_program_s_application() -> None:
    app = starlette_story.starlette()
    config = uvicorn.config.Config(app, proxy_headers=False, log_level=60)
    config.load()
    assert config.loaded_app is app
    assert config.loaded_app.state is app.state
    config = uvicorn.config.Config(app, log_level=60)
    config.load()
    assert type(config.loaded_app).__name__ == "ProxyHeadersMiddleware"
    assert config.loaded_app.app is app


def test_an_application_that_is_put_into_the_configuration_is_served_and_traced(spans: Recorded) -> None:
    """Test harnesses and reloaders do so once it is loaded."""
    config = uvicorn.config.Config(starlette_story.starlette, factory=True, log_level=60, lifespan="off")
    config.load()
    config.loaded_app = asgi_story.bare

    async def main() -> Any:
        return config.http_protocol_class(config=config, server_state=uvicorn.server.ServerState(), app_state={})

    assert asyncio.run(main()).app.__self__ is asgi_story.bare


def test_a_subclass_of_a_protocol_is_traced(spans: Recorded) -> None:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Own(H11Protocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.mine = True

    for url in asgi_servers.uvicorn(asgi_story.bare, http=Own):
        assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
        assert finished(spans, 1)[0].facts["component"] == "uvicorn"


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


def test_a_protocol_whose_own_package_is_not_installed_is_no_refusal() -> None:
    """uvicorn has protocols for packages that hardly anybody installs: zttp, wsproto."""
    absent = "import sys; sys.modules['wsproto'] = None\n"
    program = f"{absent}from autotrace import activation, check, registry; activation.activate()\n"
    program += "print(check._state('uvicorn', list(registry.PATCHES['uvicorn'])))"
    done = programs.traced(*programs.python(program))
    assert done.stdout.startswith("on "), done.stdout + done.stderr
