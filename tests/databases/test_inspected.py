"""A replaced method is what the driver's was: a generator function for `inspect`, and found by pickle."""

from __future__ import annotations

import inspect
import pickle
import sqlite3
from typing import Any

import oracledb
import psycopg
import psycopg2.extensions
import pytest

from autotrace.databases.connection_facts import shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.statement_arguments import statement_argument
from autotrace.databases.streaming import traced_async_rows, traced_rows
from autotrace.databases.traced_methods import StatementCall, itself, of_arguments
from autotrace.patching import MARK
from tests.recorded import Recorded, tags

SHARED = shared_facts("store")
DRIVER = Driver("store", "postgresql", lambda connection: SHARED)
CALL = StatementCall(of_arguments(statement_argument("query")), itself)


@pytest.mark.parametrize(
    "method",
    [
        psycopg.Cursor.stream,
        psycopg.AsyncCursor.stream,
        oracledb.Connection.fetch_df_batches,
        oracledb.AsyncConnection.fetch_df_batches,
    ],
)
def test_a_generator_function_stays_one(method: Any) -> None:
    original = getattr(method, MARK)
    for kind in (inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.isfunction):
        assert kind(method) == kind(original)
    assert inspect.getfullargspec(method) == inspect.getfullargspec(original)
    assert inspect.signature(method) == inspect.signature(original)
    assert (method.__defaults__, method.__kwdefaults__) == (original.__defaults__, original.__kwdefaults__)


class Store:
    """Every kind of parameter."""

    def rows(self, query: Any, /, size: int = 1, *more: Any, limit: int = 5, last: Any, **options: Any) -> Any:
        yield from (query, size, more, limit, last, options)

    def named(self, query: Any, *, rows: int = 2) -> Any:
        yield from (query, rows)

    async def async_rows(self, query: Any, *queries: Any, **begin: Any) -> Any:
        for row in (query, queries, begin):
            yield row


def test_arguments_reach_the_original_as_they_came(spans: Recorded) -> None:
    make, store = traced_rows(DRIVER, CALL), Store()
    rows, named = make(Store.rows), make(Store.named)
    assert list(rows(store, "select 1", last=0)) == ["select 1", 1, (), 5, 0, {}]
    assert list(rows(store, "select 1", 2, 3, 4, limit=6, last=7, a=8)) == ["select 1", 2, (3, 4), 6, 7, {"a": 8}]
    assert list(named(store, query="select 1", rows=3)) == ["select 1", 3]
    assert [tags(span)["db.statement"] for span in spans] == ["select ?"] * 3


def test_a_wrong_call_is_refused_at_once_as_by_the_original(spans: Recorded) -> None:
    for make, original in ((traced_rows, Store.named), (traced_async_rows, Store.async_rows)):
        traced = make(DRIVER, CALL)(original)
        with pytest.raises(
            TypeError, match=rf"{original.__name__}\(\) missing 1 required positional argument: 'query'"
        ):
            traced(Store())
    assert spans == []


def test_an_async_generator_gives_the_originals_rows(spans: Recorded) -> None:
    rows = traced_async_rows(DRIVER, CALL)(Store.async_rows)(Store(), "select 1", "b", c=1)
    found = []
    for _ in range(3):
        with pytest.raises(StopIteration) as row:
            rows.__anext__().send(None)
        found.append(row.value.value)
    with pytest.raises(StopIteration):
        rows.aclose().send(None)
    assert found == ["select 1", ("b",), {"c": 1}]
    assert tags(spans.one())["db.statement"] == "select ?"


@pytest.mark.parametrize(
    "method",
    [
        *(getattr(sqlite3.Cursor, name) for name in ("execute", "executemany", "executescript")),
        *(getattr(sqlite3.Connection, name) for name in ("execute", "executemany", "cursor")),
        *(getattr(psycopg2.extensions.cursor, name) for name in ("execute", "callproc", "copy_from", "copy_expert")),
        *(getattr(psycopg2.extensions.connection, name) for name in ("cursor", "poll")),
    ],
)
def test_a_replaced_method_of_a_c_class_can_be_pickled(method: Any) -> None:
    assert pickle.loads(pickle.dumps(method)) is method
