"""Starlette and its subclass FastAPI: one server span per request or websocket handshake, named by mounts and route."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi
from autotrace.http_server.request import current_request
from autotrace.patching import Plan, require

PLACE = "Starlette"


def application(module: Any, plan: Plan) -> None:
    # __call__(): outside all middleware. The span, unless the server has started one; and the component.
    plan.method(
        require(module, "Starlette"),
        "__call__",
        lambda original: asgi.traced_method(original, _component, PLACE),
        parameters=("scope", "receive", "send"),
    )


def routes(module: Any, plan: Plan) -> None:
    # handle(): called on the chosen route, and on every mount on the way there. The route's template.
    for name in ("Route", "WebSocketRoute"):
        plan.method(require(module, name), "handle", _route)
    plan.method(require(module, "Mount"), "handle", _mount)


def _component(application: Any) -> str:
    return _component_of(type(application))  # type: ignore[arg-type]  # mypy takes a type for unhashable


@lru_cache(maxsize=64)
def _component_of(kind: type) -> str:
    return "fastapi" if any(base.__module__ == "fastapi.applications" for base in kind.__mro__) else "starlette"


def _route(original: Any) -> Any:
    # Not hooks.on_route(): the replacement of a coroutine function stays one.
    async def handle(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            request = current_request()
            if request is not None:
                request.set_route(getattr(self, "path_format", self.path))
        except Exception:
            contained(PLACE)
        return await original(self, *args, **kwargs)

    return handle


def _mount(original: Any) -> Any:
    async def handle(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = outer_mount = None
        try:
            request = current_request()
            if request is not None:
                outer_mount = request.mount
                template = getattr(self, "path_format", self.path).removesuffix("/{path}")
                if template:
                    request.set_route(template)
                request.mount = outer_mount + template
        except Exception:
            contained(PLACE)
        try:
            return await original(self, *args, **kwargs)
        finally:
            if request is not None and outer_mount is not None:
                request.mount = outer_mount  # a middleware may try another application

    return handle
