"""waitress: a server span per request, until the body is in its buffers. A file that it sends itself is sent later."""

from __future__ import annotations

from typing import Any

from autotrace.http_server import hooks, wsgi
from autotrace.http_server.request import Request
from autotrace.patching import Plan, require

PLACE = "waitress"


def tasks(module: Any, plan: Plan) -> None:
    Task = require(module, "WSGITask")
    # execute(): calls the application, writes its body and closes it; the application's exception leaves it. The end.
    plan.method(Task, "execute", lambda original: hooks.per_request(original, PLACE, _on_return, _on_error))
    # get_environment(): called by execute(), the first moment that there is an environ. The start of the span.
    plan.method(Task, "get_environment", lambda original: wsgi.on_environ(original, PLACE))


def _on_return(request: Request, args: Any) -> None:
    request.set_status(args[0].status)


def _on_error(request: Request, error: BaseException) -> None:
    if type(error).__name__ != "ClientDisconnected":
        request.fail(error)
