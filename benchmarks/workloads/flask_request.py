"""Flask: one request through the WSGI callable, body read and closed, with a traced caller's headers; no socket."""

from __future__ import annotations

from typing import Any

from benchmarks.timed import Work

COUNT = 2000
NEEDS = ()
CALLS = False


def prepare(count: int) -> Work:
    import flask
    from werkzeug.test import EnvironBuilder

    app = flask.Flask("shop")

    @app.route("/article/<int:number>")
    def article(number: int) -> str:
        return "pencil"

    headers = {
        "Host": "shop.test",
        "X-B3-TraceId": "80f198ee56343ba864fe8b2a57d3eff7",
        "X-B3-SpanId": "e457b5a2e4d86bd1",
        "X-B3-Sampled": "1",
        "traceparent": "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01",
    }
    environ = EnvironBuilder("/article/7", headers=headers.items()).get_environ()

    def start_response(*answer: Any) -> Any:
        return None

    def once() -> None:
        body = app(dict(environ), start_response)
        assert b"".join(body) == b"pencil"
        body.close()  # type: ignore[attr-defined]

    once()
    return Work(once)
