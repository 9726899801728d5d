"""wsgiref: every promise of an HTTP server with a bare WSGI application, and PEP 3333 to the letter."""

from __future__ import annotations

import io
import os
import sys
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from wsgiref.handlers import BaseHandler, SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from opentelemetry import trace

from autotrace import containment
from autotrace.patches import wsgiref as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.http_server import HttpServer, finished, serving
from tests.http_server import wsgi_story
from tests.recorded import Recorded, record, tags


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...

    def get_stderr(self) -> Any:
        return io.StringIO()


class TestWsgiref(HttpServer):
    component = "wsgiref"
    routes = False

    @pytest.fixture
    def url(self) -> Iterator[str]:
        yield from serving(make_server("127.0.0.1", 0, wsgi_story.bare, handler_class=Quiet))  # type: ignore[arg-type]


class TestWsgirefValidated(TestWsgiref):
    """The standard library's own checker of PEP 3333 in between, which refuses what is not to the letter."""

    @pytest.fixture
    def url(self) -> Iterator[str]:
        application: Any = validator(wsgi_story.bare)
        yield from serving(make_server("127.0.0.1", 0, application, handler_class=Quiet))


def run(application: Any, handler_class: type[SimpleHandler] = SimpleHandler, **environ: str) -> str:
    """The answer to one request, without a socket."""
    out = io.BytesIO()
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "SERVER_NAME": "h", "SERVER_PORT": "80", **environ}
    handler = handler_class(io.BytesIO(), out, io.StringIO(), {**base, "SERVER_PROTOCOL": "HTTP/1.0"})
    handler.run(application)
    return out.getvalue().decode("latin-1")


def test_the_application_gets_the_server_s_own_objects(spans: Recorded) -> None:
    given: list[Any] = []

    class Handler(SimpleHandler):
        def finish_response(self) -> None:
            given.append(self.result)
            super().finish_response()

    answer = [b"x"]

    def application(environ: Any, start_response: Any) -> Any:
        assert isinstance(start_response.__self__, Handler)
        assert not [key for key in environ if "autotrace" in key.lower() and key not in os.environ]
        write = start_response("200 OK", [])
        assert write.__self__ is start_response.__self__
        write(b"w")
        return answer

    assert run(application, Handler).endswith("wx")
    assert given[0] is answer
    assert tags(spans.one())["http.status_code"] == 200


def test_the_span_around_a_server_is_no_parent_of_its_requests(spans: Recorded) -> None:
    with trace.get_tracer("t").start_as_current_span("main") as main:
        run(wsgi_story.bare, PATH_INFO="/hello/bob")
        assert trace.get_current_span() is main
    assert [span.parent_id for span in spans.servers] == [0]


def test_below_another_server_it_is_the_same_request(spans: Recorded) -> None:
    class Outer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(run(wsgi_story.bare, PATH_INFO=self.path).encode("latin-1"))

        def log_message(self, format: str, *args: Any) -> None: ...

    for url in serving(HTTPServer(("127.0.0.1", 0), Outer)):
        assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
        (span,) = finished(spans, 1)
    assert tags(span)["component"] == "wsgiref"


def test_the_error_after_headers_were_set(spans: Recorded) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        raise ZeroDivisionError

    assert "500 Internal Server Error" in run(application)
    assert tags(spans.one())["http.status_code"] == 500
    assert tags(spans[0])["error.type"] == "ZeroDivisionError"


def test_an_error_while_the_body_is_made(spans: Recorded) -> None:
    closed = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            raise ZeroDivisionError

        def close(self) -> None:
            closed.append(True)

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Parts()

    run(application)
    assert closed == [True]
    assert tags(spans.one())["error.type"] == "ZeroDivisionError"
    assert tags(spans[0])["http.status_code"] == 200


def test_exc_info_replaces_the_answer(spans: Recorded) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            raise ValueError("handled")
        except ValueError:
            start_response("503 Busy", [], sys.exc_info())
        return [b""]

    assert "503 Busy" in run(application)
    assert tags(spans.one())["http.status_code"] == 503


def test_the_file_wrapper_reaches_sendfile(spans: Recorded) -> None:
    sent: list[Any] = []

    class Handler(SimpleHandler):
        def sendfile(self) -> bool:  # type: ignore[override]
            sent.append(self.result)
            return False

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    assert run(application, Handler).endswith("file")
    assert [type(result) for result in sent] == [FileWrapper]
    assert len(spans) == 1


def test_content_length_is_computed_as_without_us(spans: Recorded) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"12345"]

    assert "Content-Length: 5" in run(application)


def test_what_is_wrong_fails_as_without_us(spans: Recorded) -> None:
    assert "500 Internal" in run(None)  # type: ignore[arg-type]
    assert "500 Internal" in run(lambda environ, start_response: None)
    assert "500 Internal" in run(lambda environ, start_response: start_response(200, []) or [])


def test_a_url_without_a_host_or_with_strange_letters(spans: Recorded) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return []

    run(application, PATH_INFO="/\xc3\xa4 b", SCRIPT_NAME="/app", QUERY_STRING="q=1")
    assert tags(spans.one())["http.url"] == "http://h:80/app/%C3%A4%20b?q=1"


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.wsgi.start_or_adopt",
        "autotrace.http_server.wsgi.Url",
        "autotrace.http_server.request.Request",
        "autotrace.patches.wsgiref.current_request",
        "autotrace.http_server.wsgi.current_request",
        "autotrace.http_server.hooks.current_request",
        "autotrace.http_server.request.Request.set_status",
        "autotrace.patches.wsgiref._traced",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        assert run(wsgi_story.bare, PATH_INFO="/hello/bob").endswith("hello bob")
        assert "500" in run(wsgi_story.bare, PATH_INFO="/boom")
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    import wsgiref.handlers

    before = BaseHandler.run
    plan = Plan()
    patch.handlers(wsgiref.handlers, plan)
    plan.apply()
    assert BaseHandler.run is before


def test_a_module_without_what_is_needed_is_refused_whole() -> None:
    fake = types.ModuleType("wsgiref.handlers")
    fake.BaseHandler = type("BaseHandler", (), {"run": lambda self, application: None})  # type: ignore[attr-defined]
    plan = Plan()
    with pytest.raises(Unpatchable, match="start_response"):
        patch.handlers(fake, plan)
    assert plan._undo == []
