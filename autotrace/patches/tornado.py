"""Tornado: one server span per request of a RequestHandler, named by the pattern of its rule; of a websocket, the handshake.

Handlers that are no RequestHandler (a bare HTTPServer callback, WSGIContainer) are not met.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import request as server_request
from autotrace.http_server.request import EMPTY
from autotrace.patching import Plan, require
from autotrace.tracing import current, propagate
from autotrace.tracing.traced_call import argument

PLACE = "tornado"
SLOT = "_autotrace_route"


def handlers(module: Any, plan: Plan) -> None:
    Handler = require(module, "RequestHandler")
    # Answers in the form of exceptions, and the exception of a client that has hung up.
    closed = require(require(module, "iostream"), "StreamClosedError")
    answers = (require(module, "Finish"), require(module, "HTTPError"), closed)
    # _execute(): the whole work of one request, in a task of its own. The span.
    plan.method(Handler, "_execute", _execute)
    # finish(): the end of the answer, after which a handler may go on working; and the handshake of a websocket.
    plan.method(Handler, "finish", _finish)
    # _handle_request_exception(): called with all that a handler raises, before it becomes an answer. The failure.
    plan.method(Handler, "_handle_request_exception", lambda original: _exception(original, answers))
    # get_target_delegate(): overridden here for handlers; see routing().
    plan.method(require(module, "_ApplicationRouter"), "get_target_delegate", _get_target_delegate)


def routing(module: Any, plan: Plan) -> None:
    # get_target_delegate(): called with the target of the rule that was found for a request. The route.
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


def _execute(original: Any) -> Any:
    async def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        fresh = current.put(EMPTY)
        request = None
        try:
            request = _receive(self.request)
        except Exception:
            contained(PLACE)
        try:
            return await original(self, *args, **kwargs)
        finally:
            if request is not None:
                _note_status(request, self)
                request.end()
            current.leave(fresh)

    return execute


def _receive(theirs: Any) -> server_request.Request | None:
    headers = theirs.headers
    scheme, host = theirs.protocol, theirs.host
    facts = {
        "component": "tornado",
        "method": theirs.method,
        "url": f"{scheme}://{host}{theirs.uri}",
        "host": server_request.host(host, scheme),
        "caller": theirs.remote_ip,
        "user_agent": headers.get("User-Agent"),
    }
    request = server_request.receive(PLACE, facts, propagate.extract_http(headers), theirs)
    route = vars(theirs).get(SLOT)
    if request is not None and route is not None:
        request.route(route)
    return request


def _note_status(request: server_request.Request, handler: Any) -> None:
    try:
        request.status(handler.get_status())
    except Exception:
        contained(PLACE)


def _finish(original: Any) -> Any:
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        try:
            request = server_request.in_work()
            if request is not None and request.body is self.request:
                if self.get_status() == 101:
                    request.upgraded()
                else:
                    request.answer_sent()
        except Exception:
            contained(PLACE)
        return result

    return finish


def _exception(original: Any, answers: tuple[type, ...]) -> Any:
    def handle_request_exception(*args: Any, **kwargs: Any) -> Any:
        try:
            error = argument(args, kwargs, 1, "e")
            request = server_request.in_work()
            if request is not None and not isinstance(error, answers):
                request.fail(error)
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return handle_request_exception
