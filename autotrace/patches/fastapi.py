"""FastAPI, beside Starlette's patch: the route of included routers, and no second span by FastAPI's own telemetry.

A program that gives FastAPI a tracer provider (`telemetry={"tracer_provider": …}`) gets the spans of that one as well.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi, hooks
from autotrace.http_server.request import current_request
from autotrace.patching import Plan, require
from autotrace.tracing import tracer
from autotrace.tracing.traced_call import argument

PLACE = "FastAPI"


def application(module: Any, plan: Plan) -> None:
    # __call__(): around FastAPI's telemetry, which must find the span there, and Starlette's __call__(). The span.
    plan.method(require(module, "FastAPI"), "__call__", lambda original: asgi.traced_method(original, "fastapi", PLACE))


def routes(module: Any, plan: Plan) -> None:
    require(module, "APIRoute")
    # _route_selected(): called with the whole template of each chosen route. No span, the route. It exists only where
    # included routers keep routes of their own; before, FastAPI's routes were Starlette's, whose handle() was called.
    if hasattr(module, "_route_selected"):
        plan.method(
            module,
            "_route_selected",
            lambda original: hooks.on_route(
                original, PLACE, lambda _, kwargs: None if kwargs.get("mount") else kwargs.get("path")
            ),
            parameters=("path",),
        )


def telemetry(module: Any, plan: Plan) -> None:
    # _unconfigured(): FastAPI's telemetry asks whether the program wants spans. Our provider is not the program's wish,
    # and a request that has a span needs no other. No span.
    plan.method(module, "_unconfigured", _unconfigured, parameters=("provider",))


def _unconfigured(original: Any) -> Any:
    def unconfigured(*args: Any, **kwargs: Any) -> Any:
        try:
            provider = argument(args, kwargs, 0, "provider")
            if provider is tracer.provider or (
                provider is tracer.provider_in_force() and current_request() is not None
            ):
                return True
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return unconfigured
