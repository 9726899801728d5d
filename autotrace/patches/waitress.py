"""waitress: a server span per request, until the body is handed to its buffers. A file that it sends by itself is sent after the span."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import wsgi
from autotrace.http_server.request import EMPTY, Request, outermost
from autotrace.patching import Plan, require
from autotrace.tracing import current

PLACE = "waitress"


def tasks(module: Any, plan: Plan) -> None:
    Task = require(module, "WSGITask")
    # execute(): calls the application, writes its body and closes it; what it raises leaves it. The end of the span.
    plan.method(Task, "execute", lambda original: outermost(original, PLACE, _served, _failed))
    # get_environment(): called by execute(), the first moment that there is an environ. The start.
    plan.method(Task, "get_environment", _get_environment)


def _served(request: Request, args: Any) -> None:
    request.status(args[0].status)


def _failed(request: Request, error: BaseException) -> None:
    if type(error).__name__ != "ClientDisconnected":
        request.fail(error)


def _get_environment(original: Any) -> Any:
    def get_environment(*args: Any, **kwargs: Any) -> Any:
        environ = original(*args, **kwargs)
        try:
            if current.get() is EMPTY:
                wsgi.receive(environ, "waitress", PLACE)
        except Exception:
            contained(PLACE)
        return environ

    return get_environment
