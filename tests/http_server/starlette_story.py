"""The paths of contracts/async_http_server.py in Starlette and FastAPI, with mounts, included routers, middleware."""

from __future__ import annotations

from typing import Any

import fastapi
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.http_server import asgi_story
from tests.http_server.wsgi_story import boom
from tests.http_server.wsgi_story import hello as hello_at_once


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await asgi_story.hello(request.path_params["name"]))


async def slow(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await asgi_story.slow(request.path_params["name"]))


async def failing(request: Request) -> PlainTextResponse:
    return PlainTextResponse(boom())


async def teapot(request: Request) -> PlainTextResponse:
    return PlainTextResponse("tea", 418)


async def stream(request: Request) -> StreamingResponse:
    return StreamingResponse(asgi_story.parts())


async def endless(request: Request) -> StreamingResponse:
    return StreamingResponse(asgi_story.endless())


async def call(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await asgi_story.call(request.query_params["url"]))


async def later(request: Request) -> PlainTextResponse:
    return PlainTextResponse("soon", background=BackgroundTask(asgi_story.later))


def in_a_thread(request: Request) -> PlainTextResponse:
    return PlainTextResponse(hello_at_once("thread"))


async def websocket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()
    await socket.send_text(await asgi_story.hello(socket.path_params["name"]))


async def pass_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


def routes() -> list[Any]:
    return [
        Route("/hello/{name}", hello),
        Route("/slow/{name}", slow),
        Route("/boom", failing),
        Route("/teapot", teapot),
        Route("/stream", stream),
        Route("/endless", endless),
        Route("/call", call),
        Route("/later", later),
        Route("/thread", in_a_thread),
        WebSocketRoute("/ws/{name}", websocket),
    ]


def starlette() -> Starlette:
    return Starlette(routes=routes())


def behind_middleware() -> Starlette:
    return Starlette(routes=routes(), middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)])


def mounted(inner: Any) -> Starlette:
    return Starlette(routes=[Mount("/{tenant}/v1", app=inner)])


def fastapi_app() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/hello/{name}", response_class=PlainTextResponse)
    async def hello_(name: str) -> str:
        return await asgi_story.hello(name)

    @app.get("/slow/{name}", response_class=PlainTextResponse)
    async def slow_(name: str) -> str:
        return await asgi_story.slow(name)

    @app.get("/boom")
    async def boom_() -> str:
        return boom()

    @app.get("/teapot")
    def teapot_() -> PlainTextResponse:
        return PlainTextResponse("tea", 418)

    @app.get("/stream")
    async def stream_() -> StreamingResponse:
        return StreamingResponse(asgi_story.parts())

    @app.get("/endless")
    async def endless_() -> StreamingResponse:
        return StreamingResponse(asgi_story.endless())

    @app.get("/call", response_class=PlainTextResponse)
    async def call_(url: str) -> str:
        return await asgi_story.call(url)

    @app.get("/later", response_class=PlainTextResponse)
    async def later_(tasks: fastapi.BackgroundTasks) -> str:
        tasks.add_task(asgi_story.later)
        return "soon"

    app.add_api_websocket_route("/ws/{name}", websocket)
    app.include_router(router(), prefix="/shop/{shop}")
    return app


def router() -> fastapi.APIRouter:
    inner = fastapi.APIRouter(prefix="/inner")

    @inner.get("/item/{item}")
    def item(shop: str, item: int) -> str:
        return hello_at_once(f"{shop} {item}")

    outer = fastapi.APIRouter()
    outer.include_router(inner, prefix="/outer")
    outer.add_route("/plain/{name}", hello)
    return outer
