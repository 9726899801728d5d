"""Tornado: one server span per request of a RequestHandler, named by its rule's pattern; of a websocket, the handshake.

Not traced: handlers that are no RequestHandler (a bare HTTPServer callback, WSGIContainer).
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import hooks
from autotrace.http_server.request import Request, current_request, start_request
from autotrace.patching import Plan, require
from autotrace.tracing import propagate
from autotrace.tracing.traced_call import argument

PLACE = "tornado"
SLOT = "_autotrace_route"


def handlers(module: Any, plan: Plan) -> None:
    Handler = require(module, "RequestHandler")
    # No failures: answers in the form of exceptions, and the exception of a client that has disconnected.
    closed = require(require(module, "iostream"), "StreamClosedError")
    answers = (require(module, "Finish"), require(module, "HTTPError"), closed)

    def failure_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseException | None:
        error: BaseException = argument(args, kwargs, 1, "e")
        return None if isinstance(error, answers) else error

    # _execute(): the whole work of one request, in a task of its own. The span.
    plan.method(Handler, "_execute", lambda original: hooks.per_request_async(original, PLACE, _start, _note_status))
    # finish(): the end of the answer, after which a handler may go on working; or of a websocket's handshake.
    plan.method(Handler, "finish", _finish)
    # _handle_request_exception(): called with all that a handler raises, before it becomes an answer. The failure.
    plan.method(Handler, "_handle_request_exception", lambda original: hooks.on_failure(original, PLACE, failure_of))
    # get_target_delegate(): overridden here for handlers; see routing().
    plan.method(require(module, "_ApplicationRouter"), "get_target_delegate", _get_target_delegate)


def routing(module: Any, plan: Plan) -> None:
    # get_target_delegate(): called with the target of the rule that matches a request. The route.
    plan.method(require(module, "RuleRouter"), "get_target_delegate", _get_target_delegate)


def _get_target_delegate(original: Any) -> Any:
    def get_target_delegate(*args: Any, **kwargs: Any) -> Any:
        try:
            router, target, request = args[0], argument(args, kwargs, 1, "target"), argument(args, kwargs, 2, "request")
            for rule in router.rules:
                regex = getattr(rule.matcher, "regex", None)
                if rule.target is target and regex is not None and rule.matcher.match(request) is not None:
                    vars(request)[SLOT] = regex.pattern.removesuffix("$")
                    break
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return get_target_delegate


def _start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
    http_request = args[0].request
    headers, scheme, host = http_request.headers, http_request.protocol, http_request.host
    method, url = http_request.method, f"{scheme}://{host}{http_request.uri}"
    caller, agent, remote = http_request.remote_ip, headers.get("User-Agent"), propagate.extract_http(headers)
    request = start_request(PLACE, "tornado", method, url, scheme, host, caller, agent, remote, http_request)
    route = vars(http_request).get(SLOT)
    if request is not None and route is not None:
        request.set_route(route)
    return request


def _note_status(request: Request, args: tuple[Any, ...], result: Any) -> None:
    request.set_status(args[0].get_status())


def _finish(original: Any) -> Any:
    def finish(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            request, handler = current_request(), args[0]
            if request is not None and request.identity is handler.request:
                if handler.get_status() == 101:
                    request.upgrade()
                else:
                    request.answer_sent()
        except Exception:
            contained(PLACE)
        return result

    return finish
