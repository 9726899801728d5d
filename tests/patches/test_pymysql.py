"""PyMySQL under the agent, on a real MariaDB: the contracts, and its own cursors."""

from __future__ import annotations

from typing import Any

import pymysql
import pymysql.cursors
import pytest

from autotrace import registry
from autotrace.patches import pymysql as patch
from autotrace.patching import Plan
from tests.contracts.mysql import MySQLContract
from tests.recorded import Recorded, tags


class TestPyMySQL(MySQLContract):
    component = "pymysql"
    driver = pymysql
    unknown_table = "42S02" if tuple(map(int, pymysql.VERSION_STRING.split(".")[:2])) >= (1, 2) else None

    def test_a_connect_that_was_put_off_fails_as_one(self, spans: Recorded) -> None:
        connection = self.connect(port=1, defer_connect=True)
        assert spans == []
        with pytest.raises(pymysql.OperationalError):
            connection.connect()
        assert (spans.one().name, tags(spans.one())["peer.address"]) == ("connect", "127.0.0.1:1")

    @pytest.mark.parametrize("kind", ["Cursor", "DictCursor", "SSCursor", "SSDictCursor"])
    def test_each_class_of_cursors_is_one_span(self, kind: str, spans: Recorded) -> None:
        cursor = self.connect(cursorclass=getattr(pymysql.cursors, kind)).cursor()
        cursor.execute("SELECT 1 AS a")
        assert list(cursor.fetchall()) in ([(1,)], [{"a": 1}])
        assert tags(spans.one()).get("db.rows_affected") == (None if kind.startswith("SS") else 1)

    def test_what_the_connection_runs_at_its_start_is_a_statement(self, spans: Recorded) -> None:
        self.connect(init_command="SET @a = 1")
        assert tags(spans.one())["db.statement"] == "SET @a = ?"


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(pymysql.connections, plan)
    assert plan._steps == []


def test_the_registry_says_on() -> None:
    assert registry.states["pymysql", "pymysql.connections"] == registry.ON


def test_install_as_mysqldb_is_traced_as_what_it_is(spans: Recorded, mariadb: Any, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "MySQLdb", pymysql)
    import MySQLdb

    connection = MySQLdb.connect(host=mariadb.host, port=mariadb.port, user="app", password="pw")
    connection.cursor().execute("DO 1")
    assert tags(spans.one())["component"] == "pymysql"
