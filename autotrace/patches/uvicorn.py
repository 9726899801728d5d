"""uvicorn: a server span per HTTP request and websocket handshake, whichever protocol class, worker or application."""

from __future__ import annotations

from typing import Any

from autotrace.http_server import asgi
from autotrace.patching import Plan, require

PLACE = "uvicorn"


def configuration(module: Any, plan: Plan) -> None:
    # load(): makes the one application that every protocol class gets, uvicorn's middleware and WSGI adapter included.
    # gunicorn's worker, --workers and --reload come through it as well. The span is around that application.
    plan.method(require(module, "Config"), "load", lambda original: asgi.on_load(original, PLACE, "loaded_app"))
