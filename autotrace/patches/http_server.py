"""http.server: a server span per request of any BaseHTTPRequestHandler, werkzeug's development server included.

A handler that replaces handle_one_request() without calling it (wsgiref's) is none of ours. A TimeoutError out of a do_*()
is swallowed by the library and not seen.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import request as server_request
from autotrace.patching import Plan, require
from autotrace.tracing import propagate
from autotrace.tracing.traced_call import argument

PLACE = "http.server.BaseHTTPRequestHandler"
SLOT = "_autotrace_request"


def handlers(module: Any, plan: Plan) -> None:
    Handler = require(module, "BaseHTTPRequestHandler")
    # handle_one_request(): called once per request of a connection; what do_*() raises leaves it. The end of the span.
    plan.method(Handler, "handle_one_request", _handle_one_request)
    # parse_request(): the first moment that there is a request, after waiting for one on a kept connection. Its start.
    plan.method(Handler, "parse_request", _parse_request)
    # send_response_only(): every way to answer (send_response, send_error) comes by here. The status.
    plan.method(Handler, "send_response_only", _send_response_only, parameters=("code",))


def _handle_one_request(original: Any) -> Any:
    def handle_one_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        held = vars(self)
        held[SLOT] = None
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            request = held.get(SLOT)
            if request is not None and not isinstance(error, server_request.HUNG_UP):
                request.fail(error)
            raise
        finally:
            request = held.pop(SLOT, None)
            if request is not None:
                request.end()

    return handle_one_request


def _parse_request(original: Any) -> Any:
    def parse_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        parsed = original(self, *args, **kwargs)
        try:
            if parsed and vars(self).get(SLOT, self) is None:
                vars(self)[SLOT] = _receive(self)
        except Exception:
            contained(PLACE)
        return parsed

    return parse_request


def _receive(handler: Any) -> server_request.Request | None:
    headers = handler.headers
    scheme = "https" if hasattr(handler.connection, "getpeercert") else "http"
    host = headers.get("Host")
    path = handler.path
    if host is None:
        name, port = getattr(handler.server, "server_address", None) or ("", 0)
        host = f"{name}:{port}"
    caller = handler.client_address
    facts = {
        "component": "http.server",
        "method": handler.command,
        "url": path if "://" in path.partition("?")[0] else f"{scheme}://{host}{path}",
        "host": server_request.host(host, scheme),
        "caller": caller[0] if isinstance(caller, tuple) else None,
        "user_agent": headers.get("User-Agent"),
    }
    # Its body is not known: a WSGI server on top of the handler passes on what it likes.
    return server_request.receive(PLACE, facts, propagate.extract_http(headers), None)


def _send_response_only(original: Any) -> Any:
    def send_response_only(*args: Any, **kwargs: Any) -> Any:
        try:
            request = vars(args[0]).get(SLOT)
            if request is not None:
                request.status(argument(args, kwargs, 1, "code"))
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return send_response_only
