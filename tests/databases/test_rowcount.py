"""A cursor of the program's own may count no rows, or raise when it is asked: its statement still has its span."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from autotrace.databases.connection_facts import shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.statement_arguments import statement_argument
from autotrace.databases.traced_methods import StatementCall, itself, of_arguments, traced_method
from tests.recorded import Recorded, tags

READ = statement_argument("sql")
SHARED = shared_facts("store")
DRIVER = Driver("store", "postgresql", lambda connection: SHARED)
MAKERS = (
    DRIVER.statement(READ),
    traced_method(DRIVER, StatementCall(of_arguments(READ), itself, lambda cursor, result: cursor.rowcount)),
)


def raises() -> Any:
    raise RuntimeError("no rows to count")


@pytest.mark.parametrize("count", [lambda: None, lambda: "many", object, lambda: -1, raises])
@pytest.mark.parametrize("make", MAKERS)
def test_the_span_has_no_number_of_rows(make: Any, count: Callable[[], Any], spans: Recorded) -> None:
    class Cursor:
        connection = None
        rowcount = property(lambda self: count())

        def execute(self, sql: str) -> str:
            return "done"

    assert make(Cursor.execute)(Cursor(), "select 1") == "done"
    assert "db.rows_affected" not in tags(spans.one())


def test_so_has_that_of_a_class_derived_from_the_drivers(spans: Recorded) -> None:
    class Cursor(sqlite3.Cursor):
        @property
        def rowcount(self) -> Any:
            raise RuntimeError("no rows to count")

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.cursor(Cursor).execute("select 1")
    assert tags(spans.one())["db.statement"] == "select ?"
