"""One operation of each family, on the real library, for test_every_boundary: run() does it, done() counts how often it reached the other side."""

from __future__ import annotations

import concurrent.futures
import http.client
import sqlite3
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
import requests
import urllib3

from tests.http_client.http_peer import Peer
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


def _exchange(get: Callable[[str], Any]) -> Callable[[], Any]:
    @contextmanager
    def make() -> Iterator[Operation]:
        peer = Peer()
        yield Operation(lambda: get(f"{peer.url}/a?b=c"), lambda: len(peer.received))

    return make


def _requests(url: str) -> None:
    with requests.Session() as session:
        assert session.get(url, headers={"a": "b"}).status_code == 200


def _urllib3(url: str) -> None:
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", url, retries=False).status == 200


def _httpx(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        assert client.get(url).status_code == 200


def _urllib(url: str) -> None:
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"


def _http_client(url: str) -> None:
    with closing(http.client.HTTPConnection(url.split("/")[2])) as connection:
        connection.request("GET", "/a")
        assert connection.getresponse().read() == b"hello"


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


OPERATIONS: dict[str, Callable[[], Any]] = {
    "sqlite3": sqlite_execute,
    "sqlite3, failing": sqlite_failing,
    "urllib3": _exchange(_urllib3),
    "httpx": _exchange(_httpx),
    "concurrent.futures": pool_submit,
    "threading": thread_start,
    **SERVER_OPERATIONS,
}
