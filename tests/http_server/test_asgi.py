"""ASGI calls as a server makes them, without a server: scopes, the end of the answer, disconnected clients."""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from typing import Any

import pytest

from autotrace.http_server import asgi
from autotrace.http_server.request import current_request
from tests.http_server import asgi_story
from tests.recorded import Recorded, tags


class Protocol:
    """A server's object for one connection."""

    def __init__(self, app: Any) -> None:
        self.app = app


def served(app: Any) -> Any:
    """What a server's protocol calls in place of `app`."""
    protocol = Protocol.__new__(Protocol)
    asgi.on_init(Protocol.__init__, "server", "app")(protocol, app)
    return protocol.app


def ask(app: Any, scope: dict[str, Any] | None = None, send: Any = None) -> list[Any]:
    """The messages that the application sends in one call, made as a server makes it."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def sending(message: Any) -> None:
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": "/hello/bob", "query_string": b"", "headers": []}
    asyncio.run(served(app)({**base, **(scope or {})}, receive, send or sending))
    return sent


def test_a_scope_with_next_to_nothing_is_served(spans: Recorded) -> None:
    assert ask(asgi_story.bare)[1]["body"] == b"hello bob"
    assert tags(spans.servers[0])["url.path"] == "/hello/bob"


def test_other_scopes_pass_by(spans: Recorded) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], type(send).__name__))

    ask(app, {"type": "lifespan"})
    assert seen == [("lifespan", "function")]
    assert spans == []


def test_the_application_gets_the_scope_as_it_is(spans: Recorded) -> None:
    given: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given.append(scope)

    scope = {"type": "http", "headers": [(b"a", b"b")], "method": "GET", "path": "/"}
    asyncio.run(served(app)(scope, None, None))
    assert given[0] is scope
    assert scope == {"type": "http", "headers": [(b"a", b"b")], "method": "GET", "path": "/"}


def test_a_client_that_is_gone_is_no_failure(spans: Recorded) -> None:
    async def send(message: Any) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        ask(asgi_story.bare, send=send)
    assert "error" not in tags(spans.servers[0])


def test_a_task_that_is_cancelled_ends_the_span(spans: Recorded) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        ask(app)
    assert "error" not in tags(spans.servers[0])


def test_what_goes_on_with_the_context_does_not_hold_the_connection(spans: Recorded) -> None:
    contexts = []

    class Receive:
        async def __call__(self) -> Any: ...

    async def app(scope: Any, receive: Any, send: Any) -> None:
        contexts.append(contextvars.copy_context())

    receive = Receive()
    known = weakref.ref(receive)
    asyncio.run(served(app)({"type": "http", "headers": []}, receive, None))
    del receive
    assert known() is None
    assert len(contexts) == 1


def test_trailers_and_files_end_the_answer(spans: Recorded) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.body", "body": b""})
        assert current_request().answer_time is None  # type: ignore[union-attr]
        await send({"type": "http.response.trailers", "headers": []})
        assert current_request().answer_time is not None  # type: ignore[union-attr]

    ask(app)
    assert len(spans.servers) == 1


@pytest.mark.parametrize(("headers", "count"), [([(b"host", b"h")], 1), ([(b"host", b"h"), (b"x-own", b"1")], 2)])
def test_a_layer_that_gets_copies_of_headers_and_receive_serves_the_same_request(
    headers: list[Any], count: int, spans: Recorded
) -> None:
    """Middleware does both. A request that the program makes to itself has other headers, and is one of its own."""
    inner = served(asgi_story.bare)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def wrapped() -> Any:
            return await receive()

        layer = asgi.traced_method(lambda self, *args: inner.__self__(*args), "framework", "framework")
        await layer(None, {**scope, "headers": headers}, wrapped, send)

    assert ask(app, {"headers": [(b"host", b"h")]})[1]["body"] == b"hello bob"
    assert len(spans.servers) == count
    assert spans.servers[-1].facts["component"] == ("framework" if count == 1 else "server")
