"""The promises of an asynchronous HTTP client, beside those of all: tasks, in which a span is active, and
cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from opentelemetry import trace

from tests.contracts.http_client import HttpClient
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer
from tests.recorded import Recorded, is_child, nothing_current, tags


class AsyncHttpClient(HttpClient):
    """Inherit it and write aget() and aopen(). One event loop runs a whole test."""

    loop: asyncio.AbstractEventLoop

    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        self.loop = asyncio.new_event_loop()
        try:
            self.run(self.begin())
            yield
            self.run(self.end())
        finally:
            self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    async def begin(self) -> None:
        """Make the objects that all calls of a test share."""

    async def end(self) -> None: ...

    async def aget(self, url: str, headers: dict[str, str] | None = None) -> int:
        """As get()."""
        raise NotImplementedError

    async def aopen(self, url: str) -> Any:
        """As open(); read() and close() are awaited."""
        raise NotImplementedError

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        return int(self.run(self.aget(url, headers)))

    def open(self, url: str) -> Any:
        return Body(self, self.run(self.aopen(url)))

    def test_a_span_is_active_in_the_awaiting_task_only(self, peer: Peer, spans: Recorded) -> None:
        peer.answer("/slow", b"hold")

        async def story() -> None:
            task = asyncio.create_task(self.aget(peer.url + "/slow"))
            while not peer.received:
                await asyncio.sleep(0.001)
            assert nothing_current()
            await self.aget(peer.url + "/other")
            assert spans.one().parent_id == 0
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert nothing_current()

        self.run(story())
        assert len(spans) == 2

    def test_calls_side_by_side_are_children_of_their_own_tasks(self, peer: Peer, spans: Recorded) -> None:
        works = {}

        async def one(target: str) -> None:
            with trace.get_tracer("t").start_as_current_span(target) as works[target]:
                await asyncio.sleep(0)
                await self.aget(peer.url + target)

        async def story() -> None:
            await asyncio.gather(*(one(f"/{number}") for number in range(8)))

        self.run(story())
        received = {request.target: request.header("X-B3-SpanId") for request in peer.received}
        assert len(spans.clients) == 8
        for client in spans.clients:
            target = tags(client)["http.url"].removeprefix(peer.url)
            assert is_child(client, works[target])
            assert received[target] == f"{client.span_id:016x}"
            assert "http.request.resend_count" not in tags(client)

    def test_a_cancelled_call_ends_its_span_with_the_error(self, peer: Peer, spans: Recorded) -> None:
        peer.answer("/slow", b"hold")

        async def story() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(self.aget(peer.url + "/slow"), 0.05)

        self.run(story())
        failure = spans.one().failure
        assert failure is not None
        assert failure.type == "asyncio.exceptions.CancelledError"

    def test_a_cancelled_reader_ends_the_span_with_the_error(self, peer: Peer, spans: Recorded) -> None:
        peer.answer("/s", http_peer.PART)

        async def story() -> None:
            body = await self.aopen(peer.url + "/s")
            assert spans == []
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(body.read(), 0.05)
            await body.close()

        self.run(story())
        failure = spans.one().failure
        assert failure is not None
        assert failure.type == "asyncio.exceptions.CancelledError"

    def test_a_coroutine_that_is_never_awaited_makes_no_span(self, peer: Peer, spans: Recorded) -> None:
        self.aget(peer.url + "/").close()
        assert spans == []
        assert peer.received == []


class Body:
    """An asynchronous body with the read() and close() of the contract."""

    def __init__(self, client: AsyncHttpClient, body: Any) -> None:
        self.client = client
        self.body = body

    def read(self) -> bytes:
        return bytes(self.client.run(self.body.read()))

    def close(self) -> None:
        self.client.run(self.body.close())
