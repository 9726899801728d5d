"""pyodbc under the agent, with MariaDB's ODBC driver on a real MariaDB: the contract, and stand-ins that pass for the real ones."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from autotrace import any_driver, registry
from autotrace.patches import pyodbc as patch
from autotrace.patching import Plan
from real_parts import cache
from real_parts.built_drivers import driver, odbc_library
from real_parts.mariadb import MariaDB
from tests.contracts.database import DatabaseContract
from tests.recorded import Recorded, tags


@pytest.fixture(scope="module", autouse=True)
def pyodbc() -> Any:
    try:
        TestPyodbc.driver, TestPyodbc.library = driver("pyodbc"), odbc_library()
    except cache.Unavailable as reason:
        cache.require_real("pyodbc", reason, "its tests are skipped")
        pytest.skip("pyodbc cannot be had")
    TestPyodbc.driver.pooling = False
    return TestPyodbc.driver


class TestPyodbc(DatabaseContract):
    component = "pyodbc"
    system = "other_sql"
    mark = "?"
    unknown_table = "42S02"
    clocks = (any_driver,)
    driver: Any = None
    library = ""

    @pytest.fixture(autouse=True)
    def server(self, mariadb: MariaDB) -> None:
        self.mariadb = mariadb
        host, port = mariadb.host, mariadb.port
        peer = {"peer.service": host, "peer.hostname": host, "peer.address": f"{host}:{port}", "peer.ipv4": host}
        server = {"peer.port": port, "server.address": host, "server.port": port}
        self.shared = {"db.instance": "app", "db.namespace": "app", "db.user": "app", **peer, **server}

    def connect(self, port: int = 0) -> Any:
        to = f"SERVER={self.mariadb.host};PORT={port or self.mariadb.port};UID=app;PWD=pw;DATABASE=app"
        return self.driver.connect(f"DRIVER={{{self.library}}};{to}")

    def connect_badly(self) -> Any:
        return self.connect(port=1)

    def test_a_stand_in_passes_for_the_real_one(self, spans: Recorded) -> None:
        connection = self.connect()
        cursor = connection.cursor()
        assert isinstance(connection, self.driver.Connection) and isinstance(cursor, self.driver.Cursor)
        assert cursor.connection is connection
        assert cursor.execute("SELECT 1 UNION SELECT 2") is cursor
        assert [tuple(row) for row in cursor] == [(1,), (2,)]
        cursor.fast_executemany = True
        assert cursor.fast_executemany is True
        with connection as same:
            assert same is connection

    def test_execute_of_a_connection_is_one_span(self, spans: Recorded) -> None:
        cursor = self.connect().execute("SELECT 1")
        gc.collect()
        assert [tuple(row) for row in cursor.fetchall()] == [(1,)]
        assert tags(spans.one())["peer.port"] == self.mariadb.port

    def test_the_password_is_nowhere(self, spans: Recorded) -> None:
        with pytest.raises(self.driver.Error):
            self.connect_badly()
        assert "PWD" not in repr(tags(spans.one())) and "PWD" not in repr(spans[0].facts)


def test_patching_twice_is_patching_once(pyodbc: Any) -> None:
    plan = Plan()
    patch.driver(pyodbc, plan)
    assert plan._steps == []
    assert registry.states["pyodbc", "pyodbc"] == registry.ON
