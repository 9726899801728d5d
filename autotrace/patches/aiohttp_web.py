"""aiohttp.web: one server span per request, its body included, named by the route; of a websocket, the handshake."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import hooks
from autotrace.http_server.request import Request, current_request, start_request
from autotrace.patching import Plan, require
from autotrace.tracing import propagate
from autotrace.tracing.traced_call import argument

PLACE = "aiohttp.web"


def protocol(module: Any, plan: Plan) -> None:
    Handler = require(module, "RequestHandler")
    # _handle_request(): calls the application and sends its answer, in a task of the request's own. The span.
    # A ConnectionError out of it is no failure: the client has disconnected, or a handler has cut the connection.
    plan.method(
        Handler,
        "_handle_request",
        lambda original: hooks.per_request_async(original, PLACE, _start, _note_answer, ignored=(ConnectionError,)),
        parameters=("request",),
    )
    # handle_error(): called with the application's exception, before the answer 500. The failure.
    plan.method(
        Handler,
        "handle_error",
        lambda original: hooks.on_failure(original, PLACE, _failure_of),
        parameters=("exc",),
    )


def websockets(module: Any, plan: Plan) -> None:
    # prepare(): answers the handshake; the handler goes on for as long as the connection lasts. The end of the span.
    plan.method(require(module, "WebSocketResponse"), "prepare", _prepare)


def _start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
    web_request = argument(args, kwargs, 1, "request")
    method = web_request.method
    if method == "UNKNOWN":  # aiohttp's answer to bytes that are no request
        return None
    headers, scheme, host, caller = web_request.headers, web_request.scheme, web_request.host, web_request.remote
    url, agent = f"{scheme}://{host}{web_request.raw_path}", headers.get("User-Agent")
    remote = propagate.extract_http(headers)
    return start_request(PLACE, "aiohttp.web", method, url, scheme, host, caller, agent, remote, web_request)


def _note_answer(request: Request, args: tuple[Any, ...], result: Any) -> None:
    if result is not None:
        request.set_status(getattr(result[0], "status", None))
    _note_route(request)


def _note_route(request: Request) -> None:
    """The application keeps the router's answer on its request. A server without routes has none."""
    match = getattr(request.identity, "_match_info", None)
    resource = getattr(getattr(match, "route", None), "resource", None)
    if resource is not None:
        request.set_route(resource.canonical)


def _failure_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseException | None:
    error: BaseException | None = argument(args, kwargs, 3, "exc")
    # Without a transport the client is gone, and the handler's own writing has raised because of it.
    if isinstance(error, ConnectionError) and argument(args, kwargs, 1, "request").transport is None:
        return None
    return error


def _prepare(original: Any) -> Any:
    async def prepare(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        try:
            request = current_request()
            if request is not None and request.place == PLACE:
                _note_route(request)
                request.upgrade()
        except Exception:
            contained(PLACE)
        return result

    return prepare
