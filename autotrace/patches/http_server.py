"""http.server: a server span per request of any BaseHTTPRequestHandler, werkzeug's development server included.

Not traced: a handler that replaces handle_one_request() without calling it (wsgiref's). Not seen: a TimeoutError of a
do_*(), because the library handles it.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server.request import CLIENT_DISCONNECTED, ROOT_CONTEXT, Request, start_request
from autotrace.patching import Plan, require
from autotrace.tracing import propagate
from autotrace.tracing.current import get, put
from autotrace.tracing.traced_call import argument

PLACE = "http.server.BaseHTTPRequestHandler"
SLOT = "_autotrace_request"


def handlers(module: Any, plan: Plan) -> None:
    Handler = require(module, "BaseHTTPRequestHandler")
    # handle_one_request(): called once per request of a connection; do_*()'s exception leaves it. The end of the span.
    plan.method(Handler, "handle_one_request", _handle_one_request)
    # parse_request(): the first moment that there is a request, after the wait on a kept connection. The start.
    plan.method(Handler, "parse_request", _parse_request)
    # send_response_only(): send_response() and send_error() both call it. The status.
    plan.method(Handler, "send_response_only", _send_response_only, parameters=("code",))


def _handle_one_request(original: Any) -> Any:
    # Not hooks.per_request(): the handler keeps the request, because do_*() may send the status in another context.
    def handle_one_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer = get()
        attributes = vars(self)
        try:
            try:
                attributes[SLOT] = None
                put(ROOT_CONTEXT)
                result = original(self, *args, **kwargs)
                put(outer)
            except BaseException as error:
                put(outer)
                request = attributes.get(SLOT)
                if request is not None and not isinstance(error, CLIENT_DISCONNECTED):
                    request.fail(error)
                raise
        except BaseException:
            put(outer)
            _end(attributes.pop(SLOT, None))
            raise
        _end(attributes.pop(SLOT, None))
        return result

    return handle_one_request


def _end(request: Request | None) -> None:
    if request is not None:
        request.end()


def _parse_request(original: Any) -> Any:
    def parse_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        parsed = original(self, *args, **kwargs)
        try:
            if parsed and vars(self).get(SLOT, self) is None:
                vars(self)[SLOT] = request = _start(self)
                if request is not None:
                    request.activate()
        except Exception:
            contained(PLACE)
        return parsed

    return parse_request


def _start(handler: Any) -> Request | None:
    headers, path = handler.headers, handler.path
    scheme = "https" if hasattr(handler.connection, "getpeercert") else "http"
    host = headers.get("Host")
    if host is None:
        name, port = getattr(handler.server, "server_address", None) or ("", 0)
        host = f"{name}:{port}"
    url = path if "://" in path.partition("?")[0] else f"{scheme}://{host}{path}"
    client = handler.client_address
    caller, agent = client[0] if isinstance(client, tuple) else None, headers.get("User-Agent")
    remote = propagate.extract_http(headers)
    # No identity: a WSGI server on top of the handler passes on whatever it likes.
    return start_request(PLACE, "http.server", handler.command, url, scheme, host, caller, agent, remote, None)


def _send_response_only(original: Any) -> Any:
    def send_response_only(*args: Any, **kwargs: Any) -> Any:
        try:
            request = vars(args[0]).get(SLOT)
            if request is not None:
                request.set_status(argument(args, kwargs, 1, "code"))
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return send_response_only
