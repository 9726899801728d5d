"""uvicorn: a server span per HTTP request and websocket handshake, whichever worker or application. Its spans are sent
before SIGTERM ends it.

Not traced: a protocol class of the program's own that is derived from none of uvicorn's.
"""

from __future__ import annotations

from signal import SIGTERM
from typing import Any

from autotrace.http_server import asgi, graceful_stop
from autotrace.patching import Plan, require

PLACE = "uvicorn"
CLASSES = {
    "h11_impl": "H11Protocol",
    "httptools_impl": "HttpToolsProtocol",
    "zttp_impl": "ZttpProtocol",
    "zttp_h2_impl": "ZttpH2Protocol",
    "websockets_impl": "WebSocketProtocol",
    "websockets_sansio_impl": "WebSocketsSansIOProtocol",
    "wsproto_impl": "WSProtocol",
}
"""The module of each protocol, and its class."""


def protocol(module: Any, plan: Plan) -> None:
    # __init__(): takes the application from Config.loaded_app, which stays the program's. gunicorn's worker, --workers,
    # --reload and every application come through it, uvicorn's middleware and WSGI adapter included. The span is around
    # the application that the protocol calls.
    Protocol = require(module, CLASSES[module.__name__.rpartition(".")[2]])
    plan.method(Protocol, "__init__", lambda original: asgi.on_init(original, PLACE, "app"), parameters=("config",))


def server(module: Any, plan: Plan) -> None:
    # shutdown(): the end of the graceful stop. The next step is the signal again, with its default action. The flush.
    Server = require(module, "Server")
    plan.method(Server, "shutdown", lambda original: graceful_stop.flush_after(original, PLACE, _ends_by_sigterm))


def _ends_by_sigterm(server: Any) -> bool:
    return SIGTERM in server._captured_signals
