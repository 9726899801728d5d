"""Django, WSGI and ASGI: one server span per request, named by the route of its resolver match. Under runserver and any other server."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi, wsgi
from autotrace.http_server import request as server_request
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import argument

PLACE = "Django"


def wsgi_handler(module: Any, plan: Plan) -> None:
    # __call__(): the WSGI application that Django makes, outside all middleware. The span.
    plan.method(
        require(module, "WSGIHandler"),
        "__call__",
        lambda original: wsgi.served(original, "django", PLACE),
        parameters=("environ", "start_response"),
    )


def asgi_handler(module: Any, plan: Plan) -> None:
    # __call__(): the same for ASGI.
    plan.method(
        require(module, "ASGIHandler"),
        "__call__",
        lambda original: asgi.served(original, "django", PLACE),
        parameters=("scope", "receive", "send"),
    )


def resolving(module: Any, plan: Plan) -> None:
    # resolve_request(): finds the view, of the synchronous and of the asynchronous handler. The route.
    plan.method(require(module, "BaseHandler"), "resolve_request", _resolve_request)


def exceptions(module: Any, plan: Plan) -> None:
    # handle_uncaught_exception(): called with what neither the program nor Django has an answer for. The failure.
    plan.method(module, "handle_uncaught_exception", _handle_uncaught_exception, parameters=("exc_info",))


def _resolve_request(original: Any) -> Any:
    def resolve_request(*args: Any, **kwargs: Any) -> Any:
        match = original(*args, **kwargs)
        try:
            request = server_request.in_work()
            if request is not None:
                request.route(_template(match.route))
        except Exception:
            contained(PLACE)
        return match

    return resolve_request


@lru_cache(maxsize=1024)
def _template(route: str) -> str:
    """Django's routes have no slash in front; those of re_path() keep the anchors of their parts, which say nothing here."""
    return "/" + re.sub(r"(?<![\[\\])\^|\\Z$|(?<!\\)\$$", "", route)


def _handle_uncaught_exception(original: Any) -> Any:
    def handle_uncaught_exception(*args: Any, **kwargs: Any) -> Any:
        try:
            error = argument(args, kwargs, 2, "exc_info")[1]
            request = server_request.in_work()
            if request is not None and error is not None:
                request.fail(error)
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return handle_uncaught_exception
