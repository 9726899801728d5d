"""mysqlclient under the agent, on a real MariaDB: the contracts; connections live as long as without the agent."""

from __future__ import annotations

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autotrace import registry
from autotrace.patches import MySQLdb as patch
from autotrace.patching import Plan, Unpatchable
from test_services import cache
from test_services.built_drivers import driver
from tests.contracts.mysql import MySQLContract
from tests.recorded import Recorded, tags


@pytest.fixture(scope="module", autouse=True)
def mysqldb() -> Any:
    try:
        TestMysqlclient.driver = driver("MySQLdb")
    except cache.Unavailable as reason:
        cache.require_real("mysqlclient", reason, "its tests are skipped")
        pytest.skip("mysqlclient cannot be had")
    return TestMysqlclient.driver


class TestMysqlclient(MySQLContract):
    component = "MySQLdb"

    def test_a_connection_is_the_drivers_own_and_its_cursors_hold_it(self, spans: Recorded) -> None:
        """Stand-ins for connections die as soon as the program lets go of them, and their cursors with them."""
        connection = self.connect()
        cursor, seen = connection.cursor(), weakref.ref(connection)
        assert type(connection) is self.driver.connections.Connection
        assert cursor.connection is connection
        del connection
        cursor.execute("SELECT 1")
        assert (list(cursor.fetchall()), seen() is not None) == ([(1,)], True)
        del cursor
        assert seen() is None

    def test_old_names_of_arguments_are_read(self, spans: Recorded) -> None:
        connection = self.connect(password=None, database=None, passwd="pw", db="app")
        connection.cursor().execute("DO 1")
        assert tags(spans.one())["db.instance"] == "app"

    def test_arguments_by_position_are_read(self, spans: Recorded) -> None:
        connection = self.driver.connect(self.mariadb.host, "app", "pw", "app", self.mariadb.port)
        connection.cursor().execute("DO 1")
        assert tags(spans.one())["peer.address"] == f"{self.mariadb.host}:{self.mariadb.port}"

    def test_of_an_option_file_it_is_told_whom_the_library_called(self, spans: Recorded, tmp_path: Path) -> None:
        file = tmp_path / "my.cnf"
        file.write_text(f"[client]\nhost=127.0.0.1\nport={self.mariadb.port}\nuser=app\npassword=pw\n")
        connection = self.driver.connect(read_default_file=str(file))
        connection.cursor().execute("DO 1")
        assert tags(spans.one())["peer.address"] == f"127.0.0.1:{self.mariadb.port}"

    def test_a_server_cursor_tells_no_rows(self, spans: Recorded) -> None:
        import MySQLdb.cursors

        cursor = self.connect().cursor(MySQLdb.cursors.SSCursor)
        cursor.execute("SELECT 1")
        cursor.fetchall()
        assert "db.rows_affected" not in tags(spans.one())

    def test_a_cursor_on_a_stand_in_is_traced_and_nothing_of_ours_fails(self, spans: Recorded) -> None:
        """The driver's own tests do so: a stand-in that takes neither attributes nor weak references."""

        class Recording(self.driver.cursors.Cursor):  # type: ignore[name-defined, misc]
            def execute(self, query: Any, args: Any = None) -> int:
                return 1

        cursor = Recording(SimpleNamespace(executemany_fallback="loop"))
        assert cursor.executemany("UPDATE t SET v=%s", [(1,), (2,)]) == 2
        assert spans.one().facts["statement"] == "UPDATE t SET v=%s"


def test_patching_twice_is_patching_once(mysqldb: Any) -> None:
    import MySQLdb.connections

    plan = Plan()
    patch.driver(MySQLdb.connections, plan)
    assert plan._steps == []
    assert registry.states["MySQLdb", "MySQLdb.connections"] == registry.ON


def test_pymysql_under_its_name_is_refused() -> None:
    import pymysql.connections

    with pytest.raises(Unpatchable, match="_mysql"):
        patch.driver(pymysql.connections, Plan())
