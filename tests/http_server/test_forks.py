"""Handlers that fork: the request's span is sent once, by the parent; what the child does itself is sent by
the child.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from test_services.receiver import Receiver
from tests.export.programs import run

FORK = """
import os, sys
def fork():
    child = os.fork()
    if child == 0:
        work("of the child")
        sys.exit(0)
    os.waitpid(child, 0)
"""
FLASK = """
import flask
app = flask.Flask("app")
@app.route("/view")
def view():
    fork()
    return "ok"
"""
WSGI = """
from wsgiref.handlers import SimpleHandler
import io
def serve(app):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/view", "SERVER_NAME": "here", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1"}
    SimpleHandler(io.BytesIO(), io.BytesIO(), io.StringIO(), environ, False, False).run(app)
"""
ASGI = """
import asyncio, starlette.applications, starlette.responses, starlette.routing
async def view(request):
    fork()
    return starlette.responses.PlainTextResponse("ok")
app = starlette.applications.Starlette(routes=[starlette.routing.Route("/view", view)])
async def send(message): ...
async def receive(): return {"type": "http.request"}
asyncio.run(app({"type": "http", "method": "GET", "path": "/view", "query_string": b"", "headers": []}, receive, send))
"""
KINDS = {
    "a view": FLASK + 'app.test_client().get("/view")',
    "a view, within a span of the program's": FLASK
    + """
with trace.get_tracer("t").start_as_current_span("around"):
    app.test_client().get("/view")
""",
    "a view whose child fails": FLASK.replace("fork()", "os.waitpid(child, 0) if (child := os.fork()) else 1 / 0")
    + """
work("of the child")
app.test_client().get("/view")
""",
    "a body": FLASK.replace("    fork()\n", "").replace('"ok"', "parts()")
    + """
def parts():
    yield b"a"
    fork()
    yield b"b"
with app.test_client().get("/view") as answer:
    answer.data
""",
    "an application of wsgiref": WSGI
    + """
def app(environ, start_response):
    start_response("200 OK", [])
    fork()
    return [b"ok"]
serve(app)
""",
    "a coroutine": ASGI,
    "a span of the program's, in a context manager": """
with trace.get_tracer("t").start_as_current_span("GET /view"):
    fork()
""",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_parent_alone_ends_what_was_open_at_the_fork(kind: str, tmp_path: Path) -> None:
    with Receiver() as receiver:
        ended = run(tmp_path, FORK + KINDS[kind], receiver.http_url)
        names = Counter(span.name for span in receiver.wait(2))
    assert ended.code == 0, ended.said
    around = {"around": 1} if "within" in kind else {}
    assert names == Counter({"GET /view" if "wsgiref" not in kind else "GET": 1, "of the child": 1, **around})


OWN_PROVIDER = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")))
trace.set_tracer_provider(provider)
"""


def test_a_provider_of_the_program_s_hears_of_it_once(tmp_path: Path) -> None:
    ended = run(tmp_path, FORK + OWN_PROVIDER + KINDS["a view"], "http://127.0.0.1:1/api/traces", exporter="none")
    assert sorted(ended.out.splitlines()) == ["GET /view", "of the child"], ended.said
