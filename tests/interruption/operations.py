"""One operation of each family, on the real library, for test_every_boundary: run() does it, done() counts how often it
reached the other side.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import http.client
import multiprocessing
import multiprocessing.pool
import sqlite3
import sys
import threading
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any

import aiohttp
import gevent
import httpx
import pytest
import requests
import urllib3
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind

from autotrace.http_client.call import current_call
from autotrace.propagation import carriers
from autotrace.semantics import http as http_semantics
from autotrace.tracing import current, propagate, tracer
from autotrace.tracing.run_in_context import run_in_context
from tests.http_client.http_peer import Peer, free_port, redirect
from tests.interruption.operation import Operation
from tests.interruption.server_operations import SERVER_OPERATIONS


@contextmanager
def sqlite_execute() -> Iterator[Operation]:
    with closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.cursor()
        cursor.execute("create table t (n)")
        yield Operation(lambda: cursor.execute("insert into t values (1)"), lambda: _count(connection))


def _count(connection: sqlite3.Connection) -> int:
    (number,) = next(connection.execute("select count(*) from t"))
    return int(number)


@contextmanager
def sqlite_failing() -> Iterator[Operation]:
    with closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.cursor()

        def run() -> None:
            with pytest.raises(sqlite3.OperationalError):
                cursor.execute("select nothing")

        yield Operation(run, lambda: 0)


def _exchange(get: Callable[[str], Any], target: str = "/a?b=c") -> Callable[[], Any]:
    @contextmanager
    def make() -> Iterator[Operation]:
        peer = Peer()
        peer.answer("/redirected", redirect("/moved"))
        yield Operation(lambda: get(peer.url + target), lambda: sum(one.target == target for one in peer.received))

    return make


def _requests(url: str) -> None:
    with requests.Session() as session:
        response = session.get(url, headers={"a": "b"})
        assert response.status_code == 200
        response.raw._fp.close()  # by a finalizer of C's otherwise, which swallows whatever is raised in it


def _requests_redirected(url: str) -> None:
    with requests.Session() as session:
        response = session.get(url, headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
        assert [answer.status_code for answer in (*response.history, response)] == [302, 200]
        for answer in (*response.history, response):
            answer.raw._fp.close()


def _urllib3(url: str) -> None:
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", url, retries=False).status == 200


def _urllib3_streamed(url: str) -> None:
    with urllib3.PoolManager() as pool, pool.request("GET", url, retries=False, preload_content=False) as answer:
        assert answer.read(2) + answer.read() == b"hello"


def _httpx(url: str) -> None:
    with httpx.Client(trust_env=False, verify=False) as client:
        assert client.get(url).status_code == 200


def _urllib(url: str) -> None:
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"


def _urllib_redirected(url: str) -> None:
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"
        assert answer.url.endswith("/moved")


def _awaited(get: Callable[[str], Coroutine[Any, Any, None]]) -> Callable[[str], None]:
    """`get` in a task, which leaves its context as it was. What the loop's callbacks raise is raised, too."""

    raised: list[Any] = []

    async def story(url: str) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context.get("exception")))
        before = current.get()
        try:
            await get(url)
        finally:
            assert (current.get(), current_call.get()) == (before, None)

    def run(url: str) -> None:
        raised.clear()
        asyncio.run(story(url))
        for error in filter(None, raised):
            raise error

    return run


async def _httpx_async(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        assert (await client.get(url)).status_code == 200


@contextmanager
def httpx_async() -> Iterator[Operation]:
    """A coroutine that is struck where it is resumed drops the one that it awaits. httpcore's clean up by awaiting
    more, of which Python tells sys.unraisablehook, as in a bare program.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with _exchange(_awaited(_httpx_async))() as operation:
            yield operation
            gc.collect()
    finally:
        sys.unraisablehook = hook


async def _aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert await answer.read() == b"hello"


def _refused(get: Callable[[str], Any], error: type[Exception]) -> Callable[[], Any]:
    @contextmanager
    def make() -> Iterator[Operation]:
        url = f"http://127.0.0.1:{free_port()}/a"

        def run() -> None:
            with pytest.raises(error):
                get(url)

        yield Operation(run, lambda: 0)

    return make


def _http_client(url: str) -> None:
    with closing(http.client.HTTPConnection(url.split("/")[2])) as connection:
        connection.request("GET", "/a")
        with connection.getresponse() as answer:
            assert answer.read() == b"hello"


@contextmanager
def pool_submit() -> Iterator[Operation]:
    ran: list[int] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield Operation(lambda: pool.submit(ran.append, 1), lambda: len(ran))


@contextmanager
def thread_start() -> Iterator[Operation]:
    ran: list[int] = []

    def run() -> None:
        thread = threading.Thread(target=ran.append, args=(1,))
        thread.start()
        thread.join()

    yield Operation(run, lambda: len(ran))


@contextmanager
def _in_a_request() -> Iterator[None]:
    """A span is current, so that there is something to carry."""
    outer = current.get()
    span = tracer.start(http_semantics.SERVER, SpanKind.SERVER, {})
    assert span is not None
    current.enter(span)
    try:
        yield
    finally:
        current.put(outer)
        span.end()


def _carried(run: Callable[[list[int]], Any]) -> Callable[[], Any]:
    """An operation that gives `append` of its list away, to be called elsewhere."""

    @contextmanager
    def make() -> Iterator[Operation]:
        ran: list[int] = []
        with _in_a_request():
            yield Operation(lambda: run(ran), lambda: len(ran))

    return make


def _start_thread(ran: list[int]) -> None:
    thread = threading.Thread(target=ran.append, args=(1,))
    thread.start()
    thread.join()


def _start_daemon(ran: list[int]) -> None:
    thread = threading.Thread(target=ran.append, args=(1,), daemon=True)
    thread.start()
    thread.join()


@contextmanager
def pool_in_request() -> Iterator[Operation]:
    ran: list[int] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        with _in_a_request():
            yield Operation(lambda: pool.submit(ran.append, 1), lambda: len(ran))


@contextmanager
def multiprocessing_thread_pool() -> Iterator[Operation]:
    ran: list[int] = []
    with multiprocessing.pool.ThreadPool(1) as pool, _in_a_request():
        yield Operation(lambda: pool.apply_async(ran.append, (1,)), lambda: len(ran))


@contextmanager
def process_pool() -> Iterator[Operation]:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool, _in_a_request():
        yield Operation(lambda: pool.submit(int), lambda: 0)


def _in_context(ran: list[int]) -> None:
    run_in_context(Context(), ran.append, 1)


def _spawn_greenlet(ran: list[int]) -> None:
    greenlet = gevent.spawn(ran.append, 1)
    greenlet.join()


def _baggage(ran: list[int]) -> None:
    headers: dict[str, str] = {}
    carriers.inject_http(
        propagate.propagator, headers, trace.get_current_span(), {"a": "b c"}, (("x-request-id", "1"),)
    )
    assert carriers.extract_http(propagate.propagator, headers) is not None
    ran.append(1)


OPERATIONS: dict[str, Callable[[], Any]] = {
    "sqlite3": sqlite_execute,
    "sqlite3, failing": sqlite_failing,
    "requests": _exchange(_requests),
    "requests, redirected": _exchange(_requests_redirected, "/redirected"),
    "requests, refused": _refused(_requests, requests.ConnectionError),
    "urllib3": _exchange(_urllib3),
    "urllib3, streamed": _exchange(_urllib3_streamed),
    "urllib3, refused": _refused(_urllib3, urllib3.exceptions.HTTPError),
    "urllib.request": _exchange(_urllib),
    "urllib.request, redirected": _exchange(_urllib_redirected, "/redirected"),
    "http.client": _exchange(_http_client, "/a"),
    "http.client, refused": _refused(_http_client, ConnectionRefusedError),
    "httpx": _exchange(_httpx),
    "httpx, async": httpx_async,
    "aiohttp": _exchange(_awaited(_aiohttp)),
    "httpx, refused": _refused(_httpx, httpx.ConnectError),
    "concurrent.futures": pool_submit,
    "threading": thread_start,
    "threading, in a request": _carried(_start_thread),
    "threading, a daemon in a request": _carried(_start_daemon),
    "concurrent.futures, in a request": pool_in_request,
    "concurrent.futures, processes": process_pool,
    "multiprocessing.pool": multiprocessing_thread_pool,
    "gevent": _carried(_spawn_greenlet),
    "run_in_context": _carried(_in_context),
    "propagation": _carried(_baggage),
    **SERVER_OPERATIONS,
}
