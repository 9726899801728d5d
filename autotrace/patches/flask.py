"""Flask: one server span per request, named by the route. Where a server has started the span, Flask adds the route."""

from __future__ import annotations

import sys
from typing import Any

from autotrace.http_server import hooks, wsgi
from autotrace.patching import Plan, require

PLACE = "Flask"


def application(module: Any, plan: Plan) -> None:
    Flask = require(module, "Flask")
    # Found by the class, because a fork of Flask has another name. An import here could import what nobody asked for.
    globals_ = sys.modules.get(Flask.__module__.rpartition(".")[0] + ".globals")
    flask_request = require(globals_, "request")

    def route_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        rule = flask_request.url_rule
        return None if rule is None else rule.rule

    # __call__(): servers call it, outside all middleware (`app.wsgi_app = Middleware(app.wsgi_app)`). The span.
    # wsgi_app(): the same, where a server was given `app.wsgi_app` itself.
    for name in ("__call__", "wsgi_app"):
        plan.method(Flask, name, lambda original: wsgi.traced_method(original, "flask", PLACE))
    # full_dispatch_request(): the first call after Flask has matched the URL. The route.
    plan.method(Flask, "full_dispatch_request", lambda original: hooks.on_route(original, PLACE, route_of))
    # handle_exception(): called with an exception that no handler of the program took, before the 500. The failure.
    plan.method(
        Flask, "handle_exception", lambda original: hooks.on_failure(original, PLACE, lambda *_: sys.exc_info()[1])
    )
