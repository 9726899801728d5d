"""Hypercorn: a server span per HTTP request and websocket handshake, ASGI and WSGI applications, HTTP/1 to HTTP/3."""

from __future__ import annotations

from typing import Any

from autotrace.http_server import asgi
from autotrace.patching import Plan, require

PLACE = "hypercorn"


def wrappers(module: Any, plan: Plan) -> None:
    # __call__(): every protocol and kind of worker calls it with a scope, around the program's application. The span.
    for name in ("ASGIWrapper", "WSGIWrapper"):
        plan.method(
            require(module, name),
            "__call__",
            lambda original: asgi.traced_method(original, "hypercorn", PLACE, server=True),
            parameters=("scope", "receive", "send"),
        )
