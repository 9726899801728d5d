"""Django, WSGI and ASGI, under runserver and any other server: one server span per request, named by the route."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi, hooks, wsgi
from autotrace.http_server.request import current_request
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import argument

PLACE = "Django"


def wsgi_handler(module: Any, plan: Plan) -> None:
    # __call__(): Django's WSGI application, outside all middleware. The span.
    plan.method(
        require(module, "WSGIHandler"),
        "__call__",
        lambda original: wsgi.traced_method(original, "django", PLACE),
        parameters=("environ", "start_response"),
    )


def asgi_handler(module: Any, plan: Plan) -> None:
    # __call__(): the same for ASGI.
    plan.method(
        require(module, "ASGIHandler"),
        "__call__",
        lambda original: asgi.traced_method(original, "django", PLACE),
        parameters=("scope", "receive", "send"),
    )


def resolving(module: Any, plan: Plan) -> None:
    # resolve_request(): both handlers, synchronous and asynchronous, find the view by it. The route.
    plan.method(require(module, "BaseHandler"), "resolve_request", _resolve_request)


def exceptions(module: Any, plan: Plan) -> None:
    # handle_uncaught_exception(): called with an exception that neither the program nor Django handles. The failure.
    plan.method(
        module,
        "handle_uncaught_exception",
        lambda original: hooks.on_failure(
            original, PLACE, lambda args, kwargs: argument(args, kwargs, 2, "exc_info")[1]
        ),
        parameters=("exc_info",),
    )


def _resolve_request(original: Any) -> Any:
    # Not hooks.on_route(): the route is in the result.
    def resolve_request(*args: Any, **kwargs: Any) -> Any:
        match = original(*args, **kwargs)
        try:
            request = current_request()
            if request is not None:
                request.set_route(_template(match.route))
        except Exception:
            contained(PLACE)
        return match

    return resolve_request


@lru_cache(maxsize=1024)
def _template(route: str) -> str:
    """Django's routes begin without a slash; those of re_path() keep the anchors of their parts, which are left out."""
    return "/" + re.sub(r"(?<![\[\\])\^|\\Z$|(?<!\\)\$$", "", route)
