"""The paths of contracts/async_http_server.py as a bare ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import requests
from opentelemetry import trace

from tests.http_server import wsgi_story
from tests.http_server.wsgi_story import boom

tracer = trace.get_tracer("story")


async def parts() -> AsyncIterator[bytes]:
    yield b"a"
    await asyncio.sleep(0)
    with tracer.start_as_current_span("streaming"):
        second = b"b"
    yield second


async def endless() -> AsyncIterator[bytes]:
    for part in wsgi_story.endless():
        await asyncio.sleep(0)
        yield part


async def hello(name: str) -> str:
    with tracer.start_as_current_span("inside"):
        await asyncio.sleep(0)
        return f"hello {name}"


async def slow(name: str) -> str:
    await asyncio.sleep(0.02)
    return await hello(name)


async def later() -> None:
    await asyncio.sleep(0.02)
    with tracer.start_as_current_span("background"):
        pass


async def call(url: str) -> str:
    """In a thread, because the loop may have to serve the called URL."""
    return await asyncio.to_thread(lambda: requests.get(url, timeout=5).text)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    if scope["type"] != "http":
        return
    path = scope["path"]
    status, text = 404, "none"
    if path == "/boom":
        boom()
    if path in ("/stream", "/endless"):
        await start(send, 200)
        async for part in parts() if path == "/stream" else endless():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})
        return
    if path.startswith("/hello/"):
        status, text = 200, await hello(path[7:])
    if path.startswith("/slow/"):
        status, text = 200, await slow(path[6:])
    if path == "/teapot":
        status, text = 418, "tea"
    if path == "/call":
        status, text = 200, await call(parse_qs(scope["query_string"].decode())["url"][0])
    if path == "/later":
        status, text = 200, "soon"
    await start(send, status)
    await send({"type": "http.response.body", "body": text.encode()})
    if path == "/later":
        await later()


async def start(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    if not scope["path"].startswith("/ws/"):
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.send", "text": await hello(scope["path"][4:])})
    await receive()
