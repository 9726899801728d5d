"""uvicorn: a server span per HTTP request and per websocket handshake, whichever protocol class, worker or application serves."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi
from autotrace.patching import Plan, require

PLACE = "uvicorn"


def configuration(module: Any, plan: Plan) -> None:
    # load(): makes the one application that every protocol class (HTTP and websocket) is given, middleware of uvicorn's own and
    # WSGI adapter included. It also is what gunicorn's worker, --workers and --reload come by. The request's span is around it.
    plan.method(require(module, "Config"), "load", _load)


def _load(original: Any) -> Any:
    def load(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            config = args[0]
            config.loaded_app = asgi.application(config.loaded_app, PLACE, PLACE)
        except Exception:
            contained(PLACE)
        return result

    return load
