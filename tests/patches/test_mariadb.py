"""MariaDB Connector/Python under the agent, on a real MariaDB: the contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotrace import registry
from autotrace.patches import mariadb as patch
from autotrace.patching import Plan
from test_services import cache
from test_services.built_drivers import driver
from tests.contracts.mysql import MySQLContract
from tests.recorded import Recorded, tags


@pytest.fixture(scope="module", autouse=True)
def connector() -> Any:
    try:
        TestMariaDB.driver = driver("mariadb")
    except cache.Unavailable as reason:
        cache.require_real("MariaDB Connector/Python", reason, "its tests are skipped")
        pytest.skip("mariadb cannot be had")
    return TestMariaDB.driver


class TestMariaDB(MySQLContract):
    component = "mariadb"
    system = "mariadb"
    unknown_table = "42S02"
    mark = "?"

    def test_a_generator_of_parameters_is_left_whole(self, connection: Any, spans: Recorded) -> None:
        """This one refuses it, and is given it as it came."""
        given = ((n, "x") for n in range(10, 15))
        with pytest.raises(TypeError):
            connection.cursor().executemany("INSERT INTO orders VALUES (?, ?)", given)
        assert next(given) == (10, "x")
        assert spans.one().failure is not None

    def test_a_statement_in_bytes_is_read(self, connection: Any, spans: Recorded) -> None:
        """This one refuses it, with an exception that it fails to make."""
        with pytest.raises(RuntimeError, match="Failed to create exception"):
            connection.cursor().execute(b"UPDATE orders SET what = 'secret'")
        assert tags(spans.one())["db.statement"] == "UPDATE orders SET what = ?"

    def test_an_error_is_not_held_back(self) -> None:
        """The driver itself holds its last exception: without the agent, too, the program's objects live on."""

    def test_arguments_by_position_are_read(self, spans: Recorded) -> None:
        """The first is a DSN, for which the driver takes only None."""
        with pytest.raises(self.driver.Error):
            self.driver.connect(None, "127.0.0.1", "app", "pw", "shop", 1)
        found = tags(spans.one())
        assert [found.get(key) for key in ("peer.address", "db.user", "db.instance")] == ["127.0.0.1:1", "app", "shop"]

    def test_of_an_option_file_it_is_told_whom_the_library_called(self, spans: Recorded, tmp_path: Path) -> None:
        file = tmp_path / "my.cnf"
        file.write_text(f"[client]\nhost=127.0.0.1\nport={self.mariadb.port}\nuser=app\npassword=pw\n")
        connection = self.driver.connect(default_file=str(file))
        connection.cursor().execute("DO 1")
        found = tags(spans.one())
        assert (found["peer.address"], found["db.user"]) == (f"127.0.0.1:{self.mariadb.port}", "app")

    def test_a_pool_hands_out_traced_connections(self, spans: Recorded) -> None:
        to = {"host": self.mariadb.host, "port": self.mariadb.port, "user": "app", "password": "pw", "database": "app"}
        pool = self.driver.ConnectionPool(pool_name="p", pool_size=1, **to)
        connection = pool.get_connection()
        connection.cursor().execute("DO 1")
        assert len(spans) == 1
        connection.close()
        pool.close()


def test_patching_twice_is_patching_once(connector: Any) -> None:
    plan = Plan()
    patch.driver(connector, plan)
    assert plan._steps == []
    assert registry.states["mariadb", "mariadb"] == registry.ON
