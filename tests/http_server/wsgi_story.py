"""The paths of contracts/http_server.py as a bare WSGI application and as a Flask one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import flask
import requests
from opentelemetry import trace

tracer = trace.get_tracer("story")


def parts() -> Iterator[bytes]:
    yield b"a"
    with tracer.start_as_current_span("streaming"):
        yield_ = b"b"
    yield yield_


def endless() -> Iterator[bytes]:
    for _ in range(1000):
        yield bytes(65536)


def hello(name: str) -> str:
    with tracer.start_as_current_span("inside"):
        return f"hello {name}"


def boom() -> str:
    return str(1 // 0)


def bare(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    plain = [("Content-Type", "text/plain")]
    if path == "/boom":
        boom()
    if path == "/stream":
        start_response("200 OK", plain)
        return parts()
    if path == "/endless":
        start_response("200 OK", plain)
        return endless()
    status, text = "404 Not Found", "none"
    if path.startswith("/hello/"):
        status, text = "200 OK", hello(path[7:])
    if path == "/teapot":
        status, text = "418 Teapot", "tea"
    if path == "/call":
        (url,) = parse_qs(environ["QUERY_STRING"])["url"]
        status, text = "200 OK", requests.get(url, timeout=5).text
    start_response(status, plain)
    return [text.encode()]


def flask_app() -> flask.Flask:
    app = flask.Flask("story")
    app.add_url_rule("/hello/<name>", view_func=hello)
    app.add_url_rule("/boom", view_func=boom)
    app.add_url_rule("/teapot", view_func=lambda: ("tea", 418), endpoint="teapot")
    app.add_url_rule("/stream", view_func=lambda: flask.Response(parts()), endpoint="stream")

    app.add_url_rule("/endless", view_func=lambda: flask.Response(endless()), endpoint="endless")

    @app.route("/call")
    def call() -> str:
        return requests.get(flask.request.args["url"], timeout=5).text

    return app
