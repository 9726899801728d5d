"""test_every_boundary for drivers that need a server, and for the awaited twin of each wrapper."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import asyncpg
import psycopg
import psycopg2
import pymysql
import pytest

from autotrace.databases.connection_facts import shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.outermost import unless_nested
from autotrace.databases.statement_arguments import statement_argument
from autotrace.databases.styles import AWAITED
from autotrace.databases.traced_methods import StatementCall, itself
from test_services.mariadb import MariaDB
from test_services.postgresql import PostgreSQL
from tests.interruption import test_every_boundary
from tests.interruption.operations import OPERATIONS, Operation
from tests.interruption.striking import Timeout

both_kinds = pytest.mark.parametrize("kind", [Timeout, KeyboardInterrupt])


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]) -> Iterator[Callable[[Any], None]]:
    # Else connections of earlier tests are collected amid a strike. CPython swallows what is raised in the callbacks of
    # weak references.
    gc.collect()
    gc.disable()

    def check(make: Any) -> None:
        monkeypatch.setitem(OPERATIONS, "a database", make)
        test_every_boundary.test_it_reaches_the_program_nothing_stays_current_and_the_call_ran_once_at_most(
            "a database", kind
        )

    yield check
    gc.enable()


def on(connect: Callable[[], Any], work: Callable[[Any], Any]) -> Any:
    """work(cursor) inserts a row into t, in a connection that commits each statement by itself."""

    @contextmanager
    def make() -> Iterator[Operation]:
        with closing(connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("create temporary table t (n integer)")

            def count() -> int:
                cursor.execute("select count(*) from t")
                (number,) = cursor.fetchone()
                return int(number)

            yield Operation(lambda: work(cursor), count)

    return make


def failing(connect: Callable[[], Any], error: type[Exception]) -> Any:
    def run(cursor: Any) -> None:
        with pytest.raises(error):
            cursor.execute("select nothing")

    return on(connect, run)


def execute(cursor: Any) -> None:
    cursor.execute("insert into t values (1)")


def executemany(cursor: Any) -> None:
    cursor.executemany("insert into t values (%s)", [(1,)])


def read_on(cursor: Any) -> None:
    assert len(list(cursor.stream("insert into t values (1) returning n"))) == 1


@both_kinds
@pytest.mark.parametrize("work", [execute, read_on])
def test_psycopg(work: Any, check: Any, postgresql: PostgreSQL) -> None:
    # Not executemany(): it is a pipeline, and psycopg cannot go on with a connection whose pipeline was struck. Not
    # copy(): CPython itself leaves a `with` unclosed that is struck between its body and its __exit__.
    check(on(lambda: psycopg.connect(postgresql.dsn, autocommit=True), work))


@both_kinds
@pytest.mark.parametrize("work", [execute, executemany])
def test_psycopg2(work: Any, check: Any, postgresql: PostgreSQL) -> None:
    check(on(lambda: _psycopg2(postgresql), work))


@both_kinds
@pytest.mark.parametrize("work", [execute, executemany])
def test_pymysql(work: Any, check: Any, mariadb: MariaDB) -> None:
    check(on(lambda: _pymysql(mariadb), work))


@both_kinds
def test_a_statement_that_fails(check: Any, postgresql: PostgreSQL, mariadb: MariaDB) -> None:
    check(failing(lambda: psycopg.connect(postgresql.dsn, autocommit=True), psycopg.Error))
    check(failing(lambda: _psycopg2(postgresql), psycopg2.Error))
    check(failing(lambda: _pymysql(mariadb), pymysql.Error))


def _psycopg2(server: PostgreSQL) -> Any:
    connection = psycopg2.connect(server.dsn)
    connection.autocommit = True
    return connection


def _pymysql(server: MariaDB) -> Any:
    return pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database="app", autocommit=True
    )


@both_kinds
def test_a_connect_that_fails(check: Any) -> None:
    def run() -> None:
        with pytest.raises(sqlite3.OperationalError):
            sqlite3.connect("/nothing/here")

    @contextmanager
    def make() -> Iterator[Operation]:
        yield Operation(run, lambda: 0)

    check(make)


class Store:
    """run_all() calls run(), as executemany() of many drivers calls execute()."""

    def __init__(self) -> None:
        self.ran = 0

    async def run(self, statement: str) -> None:
        self.ran += 1
        if statement == "fail":
            raise ValueError(statement)

    async def run_all(self, statement: str) -> None:
        await self.run(statement)


@both_kinds
@pytest.mark.parametrize("statement", ["select 1", "fail"])
@pytest.mark.parametrize("method", ["run", "run_all"])
def test_an_awaited_method(method: str, statement: str, check: Any) -> None:
    shared = shared_facts("store")
    driver = Driver("store", "postgresql", lambda connection: shared)
    make = AWAITED.method(driver, StatementCall(unless_nested(statement_argument("statement")), itself))

    class Traced(Store):
        run = make(Store.run)
        run_all = AWAITED.outermost(make)(Store.run_all)

    store = Traced()

    def run() -> None:
        coroutine = getattr(store, method)(statement)
        if statement == "fail":
            with pytest.raises(ValueError):
                coroutine.send(None)
        else:
            with pytest.raises(StopIteration):
                coroutine.send(None)

    @contextmanager
    def operation() -> Iterator[Operation]:
        yield Operation(run, lambda: store.ran)

    check(operation)


@both_kinds
def test_asyncpg(check: Any, postgresql: PostgreSQL) -> None:
    @contextmanager
    def make() -> Iterator[Operation]:
        loop = asyncio.new_event_loop()
        run = loop.run_until_complete
        connection = run(asyncpg.connect(postgresql.url))
        run(connection.execute("create temporary table t (n integer)"))
        yield Operation(
            lambda: run(connection.execute("insert into t values (1)")),
            lambda: int(run(connection.fetchval("select count(*) from t"))),
        )
        run(connection.close())
        loop.close()

    check(make)
