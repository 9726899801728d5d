"""DuckDB under the agent: the contract, and connections that are their own cursors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from autotrace import registry
from autotrace.patches import duckdb as patch
from autotrace.patching import Plan
from tests.contracts.database import DatabaseContract
from tests.recorded import Recorded, tags


class OneCursor:
    """Only one connection sees the contract's temporary table, and each cursor() is another: this returns the first.

    Transactions are begun by hand: outside of one, commit() is an error.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection.begin()

    def cursor(self) -> Any:
        return self.connection

    def commit(self) -> None:
        self.connection.commit().begin()

    def rollback(self) -> None:
        self.connection.rollback().begin()

    def close(self) -> None:
        self.connection.close()


class TestDuckDB(DatabaseContract):
    component = "duckdb"
    system = "duckdb"
    mark = "?"
    shared = {"db.instance": ":memory:", "db.namespace": ":memory:"}
    tells_rows = int(duckdb.__version__.partition(".")[0]) >= 2

    def connect(self) -> Any:
        return OneCursor(duckdb.connect(":memory:"))

    def test_a_failed_connect_is_a_span_with_the_error(self, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody is called: a file that cannot be opened is the driver's error and no span."""
        with pytest.raises(duckdb.Error):
            duckdb.connect("/nowhere/at/all")
        assert spans == []

    def test_an_error_passes_untouched_and_is_recorded(self, connection: Any, spans: Recorded) -> None:
        """Its exceptions live in a module of another name."""
        with pytest.raises(duckdb.CatalogException) as caught:
            connection.cursor().execute("SELECT nothing FROM nowhere")
        assert caught.value.__context__ is None and caught.value.__cause__ is None
        span = spans.one()
        assert span.failure is not None and span.failure.message == str(caught.value)
        assert tags(span)["error"] is True

    def test_fetches_commits_and_rollbacks_make_no_span(self, connection: Any, spans: Recorded) -> None:
        """Closing the cursor would close the connection."""
        cursor = connection.cursor()
        cursor.execute("SELECT id FROM orders")
        cursor.fetchone(), cursor.fetchmany(1), cursor.fetchall()
        connection.commit(), connection.rollback()
        assert len(spans) == 1

    def test_a_connection_is_its_own_cursor(self, connection: Any, spans: Recorded) -> None:
        connection = connection.cursor()
        assert connection.execute("SELECT what FROM orders WHERE id = 1") is connection
        assert connection.fetchall() == [("tea",)]
        assert spans.one().name == "SELECT orders"

    def test_a_file_is_the_instance_of_all_that_works_on_it(self, spans: Recorded, tmp_path: Path) -> None:
        file = str(tmp_path / "a.duckdb")
        with duckdb.connect(file) as connection:
            for cursor in (connection, connection.cursor(), connection.duplicate(), connection.cursor().cursor()):
                cursor.execute("SELECT 1")
        assert [tags(span)["db.instance"] for span in spans] == [file] * 4

    def test_a_variable_of_the_program_is_a_table(self, connection: Any, spans: Recorded) -> None:
        connection = connection.cursor()
        mine = connection.sql("SELECT 7 AS a")
        assert connection.execute("SELECT a FROM mine").fetchall() == mine.fetchall() == [(7,)]
        connection.executemany("INSERT INTO orders SELECT a + ?, 'x' FROM mine", [[1], [2]])
        assert duckdb.execute("SELECT a FROM mine", connection=connection).fetchall() == [(7,)]
        assert [span.name for span in spans] == ["SELECT mine", "INSERT orders", "SELECT mine"]

    def test_the_functions_of_the_module_are_one_span_each(self, connection: Any, spans: Recorded) -> None:
        on = connection.cursor()
        duckdb.execute("UPDATE orders SET what = ?", ["secret"], connection=on)
        duckdb.executemany("UPDATE orders SET what = ?", [["secret"], ["x"]], connection=on)
        duckdb.execute(query="SELECT 1")
        with pytest.raises(duckdb.CatalogException):
            duckdb.execute("SELECT nothing FROM nowhere", connection=on)
        found = [tags(span) for span in spans]
        assert [tag.get("db.instance") for tag in found] == [":memory:", ":memory:", None, ":memory:"]
        assert [tag.get("db.operation.batch.size") for tag in found] == [None, 2, None, None]
        assert [span.failure is not None for span in spans] == [False, False, False, True]
        assert "secret" not in repr([span.facts for span in spans])

    def test_types_stay_the_drivers(self, connection: Any) -> None:
        assert type(connection.cursor()) is duckdb.DuckDBPyConnection is type(connection.cursor().cursor())


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(duckdb, plan)
    assert plan._steps == []
    assert registry.states["duckdb", "duckdb"] == registry.ON
