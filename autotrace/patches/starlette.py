"""Starlette, and what derives from it (FastAPI): one server span per request or websocket handshake, named by its route, mounts included."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi
from autotrace.http_server import request as server_request
from autotrace.patching import Plan, require

PLACE = "Starlette"


def application(module: Any, plan: Plan) -> None:
    # __call__(): outside all middleware. The span, where the server has not begun it already; and the component.
    plan.method(
        require(module, "Starlette"),
        "__call__",
        lambda original: asgi.served(original, _component, PLACE),
        parameters=("scope", "receive", "send"),
    )


def routes(module: Any, plan: Plan) -> None:
    # handle(): called on the route that was chosen, and on every mount on the way to it. The route's template.
    for name in ("Route", "WebSocketRoute"):
        plan.method(require(module, name), "handle", _route)
    plan.method(require(module, "Mount"), "handle", _mount)


def _component(application: Any) -> str:
    return _component_of(type(application))  # type: ignore[arg-type]  # mypy takes a type for unhashable


@lru_cache(maxsize=64)
def _component_of(kind: type) -> str:
    return "fastapi" if any(base.__module__ == "fastapi.applications" for base in kind.__mro__) else "starlette"


def _route(original: Any) -> Any:
    async def handle(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            request = server_request.in_work()
            if request is not None:
                request.route(getattr(self, "path_format", self.path))
        except Exception:
            contained(PLACE)
        return await original(self, *args, **kwargs)

    return handle


def _mount(original: Any) -> Any:
    async def handle(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = outside = None
        try:
            request = server_request.in_work()
            if request is not None:
                outside = request.mounted
                template = getattr(self, "path_format", self.path).removesuffix("/{path}")
                if template:
                    request.route(template)
                request.mounted = outside + template
        except Exception:
            contained(PLACE)
        try:
            return await original(self, *args, **kwargs)
        finally:
            if request is not None and outside is not None:
                request.mounted = outside  # a middleware may try another application

    return handle
