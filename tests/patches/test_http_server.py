"""http.server on a real socket: every promise of an HTTP server, kept connections, handlers stay as they are."""

from __future__ import annotations

import http.client
import sys
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from opentelemetry import trace

from autotrace import containment
from autotrace.patches import http_server as patch
from autotrace.patching import Plan, Unpatchable
from tests import programs
from tests.contracts.http_server import HttpServer, finished, serving
from tests.http_server import wsgi_story
from tests.recorded import Recorded, record, tags


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/hints":
            self.send_response_only(103)
        if path in ("/boom", "/hints"):
            wsgi_story.boom()
        if path in ("/stream", "/endless"):
            parts = wsgi_story.parts() if path == "/stream" else wsgi_story.endless()
            self.send_response(200)
            self.send_header("Content-Length", "2" if path == "/stream" else "65536000")
            self.end_headers()
            for part in parts:
                self.wfile.write(part)
            return
        status, text = 404, "none"
        if path.startswith("/hello/"):
            status, text = 200, wsgi_story.hello(path[7:])
        if path == "/teapot":
            status, text = 418, "tea"
        if path == "/call":
            status, text = 200, requests.get(parse_qs(query)["url"][0], timeout=5).text
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None: ...


class TestHttpServer(HttpServer):
    component = "http.server"
    routes = False
    answers_failures = False

    @pytest.fixture
    def url(self) -> Iterator[str]:
        yield from serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    def test_a_kept_connection_gives_one_span_per_request(self, url: str, spans: Recorded) -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
        for name in ("a", "b", "c"):
            connection.request("GET", f"/hello/{name}")
            assert connection.getresponse().read().decode() == f"hello {name}"
        connection.close()
        assert [tags(span)["url.path"] for span in finished(spans, 3)] == ["/hello/a", "/hello/b", "/hello/c"]

    def test_a_method_that_the_handler_lacks(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/", method="DELETE")[0] == 501
        (span,) = finished(spans, 1)
        assert (span.name, tags(span)["http.status_code"]) == ("DELETE", 501)

    def test_what_is_no_request_has_no_span(self, url: str, spans: Recorded) -> None:
        import socket

        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert b"400" in connection.makefile("rb").read()
        assert spans == []

    def test_what_is_announced_before_the_answer_is_no_status(self, url: str, spans: Recorded) -> None:
        with pytest.raises(http.client.RemoteDisconnected):
            self.ask(url, "/hints")
        (span,) = finished(spans, 1)
        assert tags(span)["http.status_code"] == 500


def test_files_are_served(tmp_path: Path, spans: Recorded) -> None:
    (tmp_path / "a.txt").write_text("text")

    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, format: str, *args: Any) -> None: ...

    for url in serving(ThreadingHTTPServer(("127.0.0.1", 0), Files)):
        assert requests.get(url + "/a.txt", timeout=5).text == "text"
        assert requests.get(url + "/b.txt", timeout=5).status_code == 404
        finished(spans, 2)


def test_the_exception_of_a_handler_reaches_the_server(spans: Recorded) -> None:
    seen = []

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            seen.append(sys.exc_info()[1])

    for url in serving(Server(("127.0.0.1", 0), Handler)):
        with pytest.raises(requests.ConnectionError):
            requests.get(url + "/boom", timeout=5)
        finished(spans, 1)
    assert [type(error) for error in seen] == [ZeroDivisionError]


def test_methods_of_the_program_stay_its_own() -> None:
    assert Handler.do_GET.__code__.co_filename == __file__
    assert not hasattr(Handler.do_GET, "__wrapped__")


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.patches.http_server._start",
        "autotrace.http_server.request.Request",
        "autotrace.http_server.request.Request.set_status",
        "autotrace.tracing.propagate.extract_http",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        for url in serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)):
            assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    import http.server

    before = http.server.BaseHTTPRequestHandler.parse_request
    plan = Plan()
    patch.handlers(http.server, plan)
    plan.apply()
    assert http.server.BaseHTTPRequestHandler.parse_request is before


def test_a_module_without_what_is_needed_is_refused_whole() -> None:
    fake = types.ModuleType("http.server")

    class BaseHTTPRequestHandler:
        def handle_one_request(self) -> None: ...

        def parse_request(self) -> None: ...

    fake.BaseHTTPRequestHandler = BaseHTTPRequestHandler  # type: ignore[attr-defined]
    plan = Plan()
    with pytest.raises(Unpatchable, match="send_response_only"):
        patch.handlers(fake, plan)
    assert plan._undo == []


def test_imported_before_activation_it_is_patched() -> None:
    program = (
        "from http.server import BaseHTTPRequestHandler as handler\n"
        "import autotrace.activation as a; a.activate()\n"
        "assert hasattr(handler.parse_request, '__autotrace_original__')\n"
    )
    done = programs._run((sys.executable, "-c", program), None, programs.environment(AUTOTRACE_EXPORTER="none"))
    assert done.returncode == 0, done.stderr


def test_nothing_is_current_in_a_handler_of_an_untraced_context(spans: Recorded) -> None:
    """The server's threads do not take over the span that was current where the server was started."""
    with trace.get_tracer("t").start_as_current_span("main"):
        for url in serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)):
            HttpServer().ask(url, "/hello/bob")
            (server,) = finished(spans, 1)
            assert server.parent_id == 0


def test_a_server_without_threads_keeps_its_own_span_out_of_its_requests(spans: Recorded) -> None:
    with HTTPServer(("127.0.0.1", 0), Handler) as server, trace.get_tracer("t").start_as_current_span("main") as main:
        url = f"http://127.0.0.1:{server.server_port}"
        client = threading.Thread(target=HttpServer().ask, args=(url, "/hello/bob", {"Connection": "close"}))
        client.start()
        server.handle_request()
        client.join()
        assert trace.get_current_span() is main
    assert [span.parent_id for span in finished(spans, 1)] == [0]
