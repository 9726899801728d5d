"""One request of each kind of HTTP server, without a socket: the server's or framework's own code calls the
program's.
"""

from __future__ import annotations

import io
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from wsgiref.handlers import SimpleHandler

import flask
import hypercorn.app_wrappers
import starlette.applications
import starlette.responses
import starlette.routing
import waitress.task

from autotrace.http_server import hooks
from autotrace.http_server.request import start_request
from tests.interruption.operation import Operation

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/a",
    "SERVER_NAME": "here",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
}


def _flask(answer: Callable[[str], Any]) -> Callable[[], Any]:
    @contextmanager
    def make() -> Iterator[Operation]:
        app = flask.Flask("interrupted")
        app.testing = True  # what a view raises goes through to the client
        served = []

        @app.route("/a/<b>")
        def view(b: str) -> Any:
            served.append(b)
            return answer(b)

        client = app.test_client()

        def run() -> None:
            with client.get("/a/b", headers={"b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"}) as response:
                assert response.data == b"b"

        yield Operation(run, lambda: len(served))

    return make


@contextmanager
def wsgiref() -> Iterator[Operation]:
    served = []

    def app(environ: Any, start_response: Any) -> Any:
        served.append(1)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    class Handler(SimpleHandler):
        def handle_error(self) -> None:
            raise  # noqa: PLE0704 - wsgiref's own would print it and end the request

    def run() -> None:
        Handler(io.BytesIO(), io.BytesIO(), io.StringIO(), dict(ENVIRON), False, False).run(app)

    yield Operation(run, lambda: len(served))


@contextmanager
def http_server() -> Iterator[Operation]:
    served = []

    class Handler(BaseHTTPRequestHandler):
        def __init__(self) -> None:
            self.rfile, self.wfile = io.BytesIO(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n"), io.BytesIO()
            self.client_address, self.connection = ("127.0.0.1", 1), None  # type: ignore[assignment]

        def do_GET(self) -> None:
            served.append(1)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    yield Operation(lambda: Handler().handle_one_request(), lambda: len(served))


@contextmanager
def waitress_task() -> Iterator[Operation]:
    served = []

    def app(environ: Any, start_response: Any) -> Any:
        served.append(1)
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    adjustments = types.SimpleNamespace(url_prefix="", url_scheme="http", ident="waitress", log_socket_errors=True)
    server = types.SimpleNamespace(adj=adjustments, application=app, server_name="here", effective_port=80)
    channel = types.SimpleNamespace(
        server=server,
        adj=adjustments,
        addr=("127.0.0.1", 1),
        creation_time=0,
        write_soon=len,
        check_client_disconnected=None,
    )

    def run() -> None:
        request = types.SimpleNamespace(
            version="1.1", headers={"HOST": "here"}, path="/a", query="", fragment="", command="GET", url_scheme="http"
        )
        request.request_uri, request.get_body_stream = "/a", io.BytesIO
        request.connection_close, request.first_line = False, "GET /a HTTP/1.1"
        waitress.task.WSGITask(channel, request).execute()

    yield Operation(run, lambda: len(served))


def _drive(coroutine: Any) -> None:
    """What an event loop does, without one."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


@contextmanager
def asgi() -> Iterator[Operation]:
    """A server's layer around a framework's."""
    served = []

    async def view(request: Any) -> Any:
        served.append(1)
        return starlette.responses.PlainTextResponse("hello")

    routes = [starlette.routing.Mount("/m", routes=[starlette.routing.Route("/{a}", view)])]
    wrapper = hypercorn.app_wrappers.ASGIWrapper(starlette.applications.Starlette(routes=routes))  # type: ignore[arg-type]

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None: ...

    def run() -> None:
        scope: Any = {
            "type": "http",
            "method": "GET",
            "path": "/m/a",
            "query_string": b"",
            "headers": [(b"host", b"here")],
        }
        _drive(wrapper(scope, receive, send, None, None))  # type: ignore[arg-type]

    yield Operation(run, lambda: len(served))


@contextmanager
def coroutine_of_a_request() -> Iterator[Operation]:
    """aiohttp.web's and tornado's hook: their own code handles whatever a request raises."""
    served = []

    async def serve() -> None:
        served.append(1)

    def start(*_: Any) -> Any:
        return start_request("place", "test", "GET", "http://here/a", "http", "here", None, None, None, None)

    traced = hooks.per_request_async(serve, "place", start, lambda *_: None)
    yield Operation(lambda: _drive(traced()), lambda: len(served))


SERVER_OPERATIONS: dict[str, Callable[[], Any]] = {
    "flask": _flask(lambda b: b),
    "flask, streamed": _flask(lambda b: (part for part in b)),
    "wsgiref": wsgiref,
    "http.server": http_server,
    "waitress": waitress_task,
    "asgi": asgi,
    "a request's coroutine": coroutine_of_a_request,
}
