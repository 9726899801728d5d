"""FastAPI, beside what Starlette's patch does: the route of included routers; its own telemetry makes no second span of a request.

A program that hands FastAPI a tracer provider of its own (`telemetry={"tracer_provider": …}`) gets that one's spans as well.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi
from autotrace.http_server import request as server_request
from autotrace.patching import Plan, require
from autotrace.tracing import tracer
from autotrace.tracing.traced_call import argument

PLACE = "FastAPI"


def application(module: Any, plan: Plan) -> None:
    # __call__(): outside of its own telemetry, which must find the span there already. The span; Starlette's __call__() is within.
    plan.method(require(module, "FastAPI"), "__call__", lambda original: asgi.served(original, "fastapi", PLACE))


def routes(module: Any, plan: Plan) -> None:
    require(module, "APIRoute")
    # _route_selected(): told of each route that is chosen, with its whole template. Only there, where routers that are included keep
    # routes of their own; before, FastAPI's routes were Starlette's, whose handle() was called. No span, the route.
    if hasattr(module, "_route_selected"):
        plan.method(module, "_route_selected", _route_selected, parameters=("path",))


def telemetry(module: Any, plan: Plan) -> None:
    # _unconfigured(): its telemetry asks so whether the program wants spans of it. Our provider is not the program's wish, and
    # a request that has its span needs no other.
    plan.method(module, "_unconfigured", _unconfigured, parameters=("provider",))


def _route_selected(original: Any) -> Any:
    def route_selected(*args: Any, **kwargs: Any) -> Any:
        try:
            request = server_request.in_work()
            path = kwargs.get("path")
            if request is not None and path is not None and not kwargs.get("mount"):
                request.route(path)
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return route_selected


def _unconfigured(original: Any) -> Any:
    def unconfigured(*args: Any, **kwargs: Any) -> Any:
        try:
            provider = argument(args, kwargs, 0, "provider")
            if provider is tracer.provider or (
                provider is tracer.provider_in_force() and server_request.in_work() is not None
            ):
                return True
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return unconfigured
