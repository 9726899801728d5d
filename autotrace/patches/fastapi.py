"""FastAPI, beside Starlette's patch: the route of included routers; FastAPI's own telemetry works as without the agent.

If the program has a tracer provider, FastAPI's spans go there, and its span is the current one of a request. If that
span begins a trace, the agent's span is its child.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi, hooks
from autotrace.http_server.request import Request, current_request
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
    NativeTelemetry = require(module, "NativeTelemetry")
    _not_ours(module, plan)
    # __call__(): starts FastAPI's own span, in a context that it makes from the headers. No span, ours stays known.
    plan.method(NativeTelemetry, "__call__", _native_telemetry, parameters=("app",))


def configuration(module: Any, plan: Plan) -> None:
    _not_ours(module, plan)
    # _configure_from_environment(): may make a tracer provider, for FastAPI's spans and the program's. No span.
    plan.method(module, "_configure_from_environment", lambda original: _configure(original, require(module, "_owned")))


def _not_ours(module: Any, plan: Plan) -> None:
    # _unconfigured(): FastAPI asks whether the program has a tracer provider, before it uses that one or makes its own.
    # Ours is not the program's. No span.
    plan.method(module, "_unconfigured", _unconfigured, parameters=("provider",))


def _unconfigured(original: Any) -> Any:
    def unconfigured(*args: Any, **kwargs: Any) -> Any:
        return argument(args, kwargs, 0, "provider") is tracer.provider or original(*args, **kwargs)

    return unconfigured


def _configure(original: Any, owned: list[Any]) -> Any:
    def configure_from_environment(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            found = tracer.provider_in_force()
            if any(component is found for component in owned):
                tracer.beside = found
        except Exception:
            contained(PLACE)
        return result

    return configure_from_environment


def _native_telemetry(original: Any) -> Any:
    async def __call__(*args: Any, **kwargs: Any) -> Any:
        try:
            request = current_request()
            if request is not None:
                kwargs = {**kwargs, "app": _rejoining(kwargs["app"], request)}
        except Exception:
            contained(PLACE)
        return await original(*args, **kwargs)

    return __call__


def _rejoining(application: Any, request: Request) -> Any:
    def call(scope: Any, receive: Any, send: Any) -> Any:
        try:
            request.rejoin()
        except Exception:
            contained(PLACE)
        return application(scope, receive, send)

    return call
