"""aiohttp.web: one server span per request, named by its route, streamed bodies included; of a websocket, the handshake."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import request as server_request
from autotrace.http_server.request import EMPTY
from autotrace.patching import Plan, require
from autotrace.tracing import current, propagate
from autotrace.tracing.traced_call import argument

PLACE = "aiohttp.web"


def protocol(module: Any, plan: Plan) -> None:
    Handler = require(module, "RequestHandler")
    # _handle_request(): calls the application and sends what it answers, in a task of the request's own. The span.
    plan.method(Handler, "_handle_request", _handle_request, parameters=("request",))
    # handle_error(): called with what the application raised, before it becomes the answer 500. The failure.
    plan.method(Handler, "handle_error", _handle_error, parameters=("exc",))


def websockets(module: Any, plan: Plan) -> None:
    # prepare(): answers the handshake; the handler goes on for as long as the connection lasts. The end of the span.
    plan.method(require(module, "WebSocketResponse"), "prepare", _prepare)


def _handle_request(original: Any) -> Any:
    async def handle_request(*args: Any, **kwargs: Any) -> Any:
        fresh = current.put(EMPTY)
        request = theirs = None
        try:
            theirs = argument(args, kwargs, 1, "request")
            request = _receive(theirs)
        except Exception:
            contained(PLACE)
        try:
            result = await original(*args, **kwargs)
            if request is not None:
                request.status(getattr(result[0], "status", None))
            return result
        except (
            ConnectionError
        ):  # the client has hung up, or a handler did so to it: aiohttp takes no other to be its own
            raise
        except BaseException as error:
            if request is not None:
                request.fail(error)
            raise
        finally:
            if request is not None:
                _note_route(request, theirs)
                request.end()
            current.leave(fresh)

    return handle_request


def _receive(theirs: Any) -> server_request.Request | None:
    if theirs.method == "UNKNOWN":  # what aiohttp makes of bytes that are no request
        return None
    headers = theirs.headers
    scheme, host = theirs.scheme, theirs.host
    facts = {
        "component": "aiohttp.web",
        "method": theirs.method,
        "url": f"{scheme}://{host}{theirs.raw_path}",
        "host": server_request.host(host, scheme),
        "caller": theirs.remote,
        "user_agent": headers.get("User-Agent"),
    }
    return server_request.receive(PLACE, facts, propagate.extract_http(headers), theirs)


def _note_route(request: server_request.Request, theirs: Any) -> None:
    """From the router's answer, which the application keeps on the request. A server without routes has none."""
    try:
        match = getattr(theirs, "_match_info", None)
        resource = getattr(getattr(match, "route", None), "resource", None)
        if resource is not None:
            request.route(resource.canonical)
    except Exception:
        contained(PLACE)


def _handle_error(original: Any) -> Any:
    def handle_error(*args: Any, **kwargs: Any) -> Any:
        try:
            error = argument(args, kwargs, 3, "exc")
            request = server_request.in_work()
            # Without a transport the client is gone, and that is what the handler's own writing has told it.
            gone = isinstance(error, ConnectionError) and argument(args, kwargs, 1, "request").transport is None
            if error is not None and request is not None and not gone:
                request.fail(error)
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return handle_error


def _prepare(original: Any) -> Any:
    async def prepare(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        try:
            request = server_request.in_work()
            if request is not None and request.place == PLACE:
                _note_route(request, request.body)
                request.upgraded()
        except Exception:
            contained(PLACE)
        return result

    return prepare
