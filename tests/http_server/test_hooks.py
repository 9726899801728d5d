"""Hooks around a library's methods: the original runs once, bare, whatever our own work does beside it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from autotrace import containment
from autotrace.http_server import hooks
from autotrace.http_server.request import ROOT_CONTEXT, Request, current_request, start_request
from autotrace.tracing import current
from tests.recorded import Recorded, record, tags

PLACE = "test"


def start(*ignored: Any) -> Request | None:
    return start_request(PLACE, "test", "GET", "http://h/x", "http", "h", None, None, None, object())


@contextmanager
def active() -> Iterator[Request]:
    request, outer = start(), current.get()
    assert request is not None
    request.activate()
    yield request
    current.put(outer)
    request.end()


def broken(*args: Any) -> Any:
    raise RuntimeError("ours")


def serve(error: BaseException | None = None) -> str:
    """A server's method, which starts its request as soon as there is one."""
    pending = current.get()
    assert type(pending) is hooks.PendingRequest
    pending.request = start()
    assert pending.request is not None
    pending.request.activate()
    if error is not None:
        raise error
    return "served"


def test_a_request_ends_with_the_method_of_its_server(spans: Recorded) -> None:
    returned: list[Any] = []
    method = hooks.per_request(serve, PLACE, lambda request, args: returned.append((request.span, args)))
    assert method(None) == "served"
    assert returned == [(spans.one(), (None,))]
    assert current_request() is None


def test_an_exception_that_leaves_the_method_is_the_request_s_failure(spans: Recorded) -> None:
    with pytest.raises(ZeroDivisionError):
        hooks.per_request(serve, PLACE)(ZeroDivisionError())
    assert (tags(spans.one())["error.type"], tags(spans[0])["http.status_code"]) == ("ZeroDivisionError", 500)


def test_a_method_without_a_request_makes_no_span(spans: Recorded) -> None:
    assert hooks.per_request(lambda: "idle", PLACE, broken, broken)() == "idle"
    assert spans == []


@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
def test_a_listener_that_fails_changes_nothing_and_the_request_ends(error: BaseException | None) -> None:
    method = hooks.per_request(serve, PLACE, broken, broken)
    with record() as spans:
        if error is None:
            assert method(None) == "served"
        else:
            with pytest.raises(ZeroDivisionError):
                method(error)
    assert len(spans.servers) == 1
    assert containment.failures.pop(PLACE)[0] == 1


async def serve_async(error: BaseException | None = None) -> str:
    await asyncio.sleep(0)
    if error is not None:
        raise error
    return "served"


def test_a_request_in_a_task_starts_in_a_root_context_and_ends_with_its_coroutine(spans: Recorded) -> None:
    ended: list[Any] = []

    def starting(args: Any, kwargs: Any) -> Request | None:
        assert current.get() is ROOT_CONTEXT
        return start()

    method = hooks.per_request_async(serve_async, PLACE, starting, lambda *call: ended.append(call[1:]))
    assert asyncio.run(method(None)) == "served"
    assert ended == [((None,), "served")]
    assert len(spans.servers) == 1


@pytest.mark.parametrize(("start_", "count"), [(broken, 0), (start, 1)])
def test_a_coroutine_is_awaited_whatever_fails_around_it(start_: Any, count: int) -> None:
    with record() as spans:
        assert asyncio.run(hooks.per_request_async(serve_async, PLACE, start_, broken)(None)) == "served"
    assert len(spans.servers) == count
    assert containment.failures.pop(PLACE)[0] == 1


def test_an_ignored_exception_is_no_failure(spans: Recorded) -> None:
    method = hooks.per_request_async(serve_async, PLACE, start, lambda *call: None, ignored=(ConnectionError,))
    for error in (ConnectionResetError, ZeroDivisionError):
        with pytest.raises(error):
            asyncio.run(method(error()))
    assert ["error" in tags(span) for span in spans.servers] == [False, True]


def test_a_coroutine_that_is_abandoned_changes_no_context_but_its_own(spans: Recorded) -> None:
    """The garbage collector closes it wherever it happens to run."""

    async def waiting() -> None:
        await asyncio.get_running_loop().create_future()

    coroutine = hooks.per_request_async(waiting, PLACE, start, lambda *call: None)()

    async def main() -> None:
        contextvars.copy_context().run(coroutine.send, None)

    asyncio.run(main())
    with active():
        within = current.get()
        coroutine.close()
        assert current.get() is within
    assert len(spans.servers) == 2


def test_a_coroutine_that_is_closed_where_it_ran_restores_the_context(spans: Recorded) -> None:
    async def waiting() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        coroutine = hooks.per_request_async(waiting, PLACE, start, lambda *call: None)()
        outer = current.get()
        coroutine.send(None)
        assert current.get() is not outer
        coroutine.close()
        assert current.get() is outer

    asyncio.run(main())
    assert len(spans.servers) == 1


@pytest.mark.parametrize("hook", [hooks.on_failure, hooks.on_route])
def test_a_hook_that_fails_or_finds_nothing_calls_the_original_once(hook: Any) -> None:
    calls: list[Any] = []
    with record() as spans:
        with active():
            hook(calls.append, PLACE, lambda args, kwargs: None)(1)
            hook(calls.append, PLACE, broken)(2)
        hook(calls.append, PLACE, broken)(3)  # without a request nothing of ours is called
    assert calls == [1, 2, 3]
    assert not {"error", "http.route"} & set(tags(spans.one()))
    assert containment.failures.pop(PLACE)[0] == 1


def test_a_route_is_added_to_the_mount(spans: Recorded) -> None:
    with active() as request:
        request.mount = "/v1"
        hooks.on_route(lambda path: None, PLACE, lambda args, kwargs: args[0])("/{name}")
    assert spans.one().name == "GET /v1/{name}"
