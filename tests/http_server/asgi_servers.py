"""ASGI servers in a thread of this process, on a socket of their own: each yields its URL."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any


def uvicorn(app: Any, **options: Any) -> Iterator[str]:
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level=60, **{"lifespan": "off", **options})
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def hypercorn(app: Any, **options: Any) -> Iterator[str]:
    import hypercorn.asyncio
    import hypercorn.config

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = hypercorn.config.Config.from_mapping(bind=[f"fd://{listener.detach()}"], errorlog=None, accesslog=None)
    config.graceful_timeout = 0.1
    yield from in_loop(lambda stop: hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait, **options), url)


def in_loop(serve: Any, url: str) -> Iterator[str]:
    """serve(stop), a coroutine function that serves until the asyncio.Event is set, in a thread."""
    started = threading.Event()
    loop: Any = None
    stop: Any = None

    async def main() -> None:
        nonlocal loop, stop
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await serve(stop)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
