"""Flask: one server span per request, named by the route. Inside a server that has opened it already, only the route is added."""

from __future__ import annotations

import sys
from typing import Any

from autotrace.containment import contained
from autotrace.http_server import request as server_request
from autotrace.http_server import wsgi
from autotrace.patching import Plan, require

PLACE = "Flask"


def application(module: Any, plan: Plan) -> None:
    Flask = require(module, "Flask")
    # Found by the class and not by name, for a fork; importing flask here would import what the program did not ask for.
    request = require(sys.modules.get(Flask.__module__.rpartition(".")[0] + ".globals"), "request")
    # __call__(): outside all middleware (`app.wsgi_app = Middleware(app.wsgi_app)`), and what servers call. The request's span.
    # wsgi_app(): the same, where a server was given `app.wsgi_app` itself.
    for name in ("__call__", "wsgi_app"):
        plan.method(Flask, name, lambda original: wsgi.served(original, "flask", PLACE))
    # full_dispatch_request(): the first call for which Flask has matched the URL. The route.
    plan.method(Flask, "full_dispatch_request", lambda original: _full_dispatch_request(original, request))
    # handle_exception(): called with what no handler of the program's has taken, before it becomes the answer 500.
    plan.method(Flask, "handle_exception", _handle_exception)


def _full_dispatch_request(original: Any, flask_request: Any) -> Any:
    def full_dispatch_request(*args: Any, **kwargs: Any) -> Any:
        try:
            request = server_request.in_work()
            rule = None if request is None else flask_request.url_rule
            if rule is not None:
                request.route(rule.rule)  # type: ignore[union-attr]
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return full_dispatch_request


def _handle_exception(original: Any) -> Any:
    def handle_exception(*args: Any, **kwargs: Any) -> Any:
        try:
            error = sys.exc_info()[1]
            request = server_request.in_work() if error is not None else None
            if request is not None:
                request.fail(error)  # type: ignore[arg-type]
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return handle_exception
