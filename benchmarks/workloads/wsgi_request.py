"""A plain WSGI callable: one request as wsgiref runs it, with a traced caller's headers; no socket."""

from __future__ import annotations

import io
import sys
from typing import Any

from benchmarks.timed import Work

COUNT = 2000
NEEDS = ()
CALLS = False


def prepare(count: int) -> Work:
    from wsgiref.handlers import SimpleHandler
    from wsgiref.util import setup_testing_defaults

    environ: dict[str, Any] = {
        "PATH_INFO": "/article/7",
        "HTTP_X_B3_TRACEID": "80f198ee56343ba864fe8b2a57d3eff7",
        "HTTP_X_B3_SPANID": "e457b5a2e4d86bd1",
        "HTTP_X_B3_SAMPLED": "1",
        "HTTP_TRACEPARENT": "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01",
    }
    setup_testing_defaults(environ)

    def article(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"pencil"]

    def once() -> None:
        SimpleHandler(io.BytesIO(), io.BytesIO(), sys.stderr, environ).run(article)

    once()
    return Work(once)
