"""The promises of every awaited driver: tasks at the same time, cancelled tasks; and a way to run the sync contract."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace

from test_services.postgresql import PostgreSQL
from tests.recorded import Recorded, is_child, nothing_current, tags


class Awaited:
    """An object whose coroutines have been awaited when its methods return. What they return is such an object too."""

    def __init__(self, real: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._real = real
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return self._call(found) if inspect.ismethod(found) else found

    def _call(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if inspect.isawaitable(result):
                result = run(self._loop, result)
            return Awaited(result, self._loop) if hasattr(result, "fetchall") else result

        return call


def run(loop: asyncio.AbstractEventLoop, awaitable: Any) -> Any:
    async def awaiting() -> Any:
        return await awaitable

    return loop.run_until_complete(awaiting())


class InALoop:
    """Before DatabaseContract: each call of a test runs to its end in a loop of the test's own."""

    @pytest.fixture(autouse=True)
    def loop(self) -> Iterator[None]:
        self._loop = asyncio.new_event_loop()
        yield
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def awaiting(self, awaitable: Any) -> Any:
        return Awaited(run(self._loop, awaitable), self._loop)

    def test_an_error_is_not_held_back(self, connection: Any, spans: Recorded) -> None:
        """Within one task, for a loop's own future holds what ends it."""

        class Program:
            pass

        async def work() -> weakref.ref[Program]:
            mine = Program()
            try:
                await self.failing(connection._real)
            except Exception:
                pass
            return weakref.ref(mine)

        gc.disable()
        try:
            assert run(self._loop, work())() is None
        finally:
            gc.enable()

    async def failing(self, connection: Any) -> None:
        await connection.cursor().execute("SELECT nothing FROM nowhere")


class AwaitedDatabaseContract:
    """Fill in open(server) -> a connection, run(connection, statement), connect_badly(). The server is a PostgreSQL."""

    asleep = "SELECT pg_sleep(30)"
    cancelled = "asyncio.exceptions.CancelledError"
    refused: type[Exception] = OSError
    """What a connect fails with, where nobody listens."""

    async def open(self, server: PostgreSQL) -> Any:
        raise NotImplementedError

    async def run(self, connection: Any, statement: str) -> Any:
        raise NotImplementedError

    async def connect_badly(self) -> Any:
        raise NotImplementedError

    def test_tasks_at_the_same_time_each_have_their_own(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        async def work(name: str) -> None:
            connection = await self.open(postgresql)
            with trace.get_tracer("t").start_as_current_span(name) as mine:
                for n in range(5):
                    await self.run(connection, f"SELECT {n}")
                    assert trace.get_current_span() is mine
                    await asyncio.sleep(0)
            await connection.close()

        async def main() -> None:
            await asyncio.gather(*(work(name) for name in "abc"))
            assert nothing_current()

        asyncio.run(main())
        outer = [span for span in spans if span.given_name]
        assert len(outer) == 3 and len(spans) == 18
        for span in outer:
            assert len([other for other in spans if is_child(other, span)]) == 5

    def test_while_one_task_waits_another_sees_nothing(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        async def main() -> None:
            connection = await self.open(postgresql)
            waiting = asyncio.ensure_future(self.run(connection, "SELECT pg_sleep(0.1)"))
            await asyncio.sleep(0.03)
            assert not waiting.done() and nothing_current()
            await waiting
            assert nothing_current()
            await connection.close()

        asyncio.run(main())
        span = spans.one()
        assert span.end_time is not None and span.end_time - span.start_time >= 100_000_000

    def test_a_cancelled_task_ends_its_span_with_the_error(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        async def main() -> None:
            connection = await self.open(postgresql)
            task = asyncio.ensure_future(self.run(connection, self.asleep))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert nothing_current()
            await connection.close()

        asyncio.run(main())
        assert tags(spans.one())["error.type"] == self.cancelled

    def test_a_timeout_ends_its_span_too(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        async def main() -> None:
            connection = await self.open(postgresql)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(self.run(connection, self.asleep), 0.05)
            await connection.close()

        asyncio.run(main())
        assert tags(spans.one())["error.type"] == self.cancelled

    def test_a_coroutine_never_awaited_makes_no_span(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        async def main() -> None:
            connection = await self.open(postgresql)
            self.run(connection, "SELECT 1").close()
            await connection.close()

        asyncio.run(main())
        assert spans == []

    def test_a_failed_connect_is_a_child_of_the_tasks_span(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        async def main() -> None:
            with trace.get_tracer("t").start_as_current_span("work") as work:
                with pytest.raises(self.refused):
                    await self.connect_badly()
                assert trace.get_current_span() is work

        asyncio.run(main())
        connect, work = spans
        assert connect.name == "connect" and connect.failure is not None and is_child(connect, work)
