"""The promises of the drivers of MySQL and MariaDB beside those of all drivers, on a real MariaDB."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from autotrace.databases.connection_facts import ByIdentity
from test_services.mariadb import MariaDB
from tests.contracts.database import DatabaseContract
from tests.recorded import Recorded, tags

PEER = ("peer.service", "peer.hostname", "peer.address", "peer.port", "server.address", "server.port")


class MySQLContract(DatabaseContract):
    """Fill in: `driver`, the module; how its connect() spells what it is given."""

    system = "mysql"
    driver: Any = None
    unknown_errno = 1146
    options: dict[str, Any] = {}
    """More arguments of each connect."""

    @pytest.fixture(autouse=True)
    def server(self, mariadb: MariaDB) -> None:
        self.mariadb = mariadb
        host, port = mariadb.host, mariadb.port
        self.shared = {
            "db.instance": "app",
            "db.namespace": "app",
            "db.user": "app",
            "peer.service": host,
            "peer.hostname": host,
            "peer.address": f"{host}:{port}",
            "peer.ipv4": host,
            "peer.port": port,
            "server.address": host,
            "server.port": port,
        }

    def connect(self, **other: Any) -> Any:
        given = {
            "host": self.mariadb.host,
            "port": self.mariadb.port,
            "user": "app",
            "password": "pw",
            "database": "app",
        }
        given |= self.options | other
        return self.driver.connect(**{name: value for name, value in given.items() if value is not None})

    def connect_badly(self) -> Any:
        return self.connect(port=1)

    @pytest.fixture
    def procedure(self, connection: Any, spans: Recorded) -> Iterator[str]:
        cursor = connection.cursor()
        cursor.execute("CREATE OR REPLACE PROCEDURE twice(IN a INT, OUT b INT) SET b = 2 * a")
        cursor.close()
        spans.clear()
        yield "twice"
        connection.cursor().execute("DROP PROCEDURE twice")

    # -- who is called

    def peer(self, connection: Any, spans: Recorded) -> list[Any]:
        connection.cursor().execute("DO 1")
        return [tags(spans.one()).get(key) for key in PEER]

    def test_a_name_stays_a_name(self, spans: Recorded) -> None:
        name, port = "127.1", self.mariadb.port
        assert self.peer(self.connect(host=name), spans) == [name, name, f"{name}:{port}", port, name, port]

    def test_on_a_unix_socket_nobody_is(self, spans: Recorded) -> None:
        connection = self.connect(unix_socket=self.mariadb.socket, host=None, port=None, password=None)
        assert self.peer(connection, spans) == [None] * 6
        assert tags(spans[0])["db.instance"] == "app"

    def test_of_a_connect_that_fails_it_is_told_whom_it_meant(self, spans: Recorded) -> None:
        with pytest.raises(self.driver.Error):
            self.connect(port=1, database="shop")
        found = tags(spans.one())
        assert [found.get(key) for key in PEER] == ["127.0.0.1", "127.0.0.1", "127.0.0.1:1", 1, "127.0.0.1", 1]
        assert (found["db.instance"], found["db.user"]) == ("shop", "app")

    def test_a_refused_password_is_a_failed_connect_with_its_number(self, spans: Recorded) -> None:
        with pytest.raises(self.driver.Error):
            self.connect(password="wrong")
        assert (spans.one().name, tags(spans.one())["db.errno"]) == ("connect", 1045)
        assert "wrong" not in repr((spans[0].facts, tags(spans[0])))

    def test_no_database_is_none(self, spans: Recorded) -> None:
        connection = self.connect(database=None)
        connection.cursor().execute("DO 1")
        assert "db.instance" not in tags(spans.one())

    def test_it_is_forgotten_with_the_connection(self, spans: Recorded) -> None:
        known = [x for x in gc.get_objects() if isinstance(x, ByIdentity)]
        gc.collect()
        before = sum(len(x.by_id) for x in known)
        connection = self.connect()
        connection.cursor().execute("DO 1")
        assert sum(len(x.by_id) for x in known) == before + 1
        connection.close()
        del connection
        gc.collect()
        assert sum(len(x.by_id) for x in known) == before

    # -- the driver's own ways, one span each

    def test_many_statements_that_cannot_be_joined_are_one_span(self, connection: Any, spans: Recorded) -> None:
        """The driver runs execute() for each."""
        cursor = connection.cursor()
        cursor.executemany(f"UPDATE orders SET what = {self.mark} WHERE id = {self.mark}", [("x", 1), ("y", 2)])
        assert (spans.one().name, tags(spans[0])["db.operation.batch.size"]) == ("UPDATE orders", 2)
        cursor.execute("SELECT what FROM orders ORDER BY id")
        assert list(cursor.fetchall()) == [("x",), ("y",)]
        assert len(spans) == 2

    def test_a_procedure_is_one_span_without_its_arguments(
        self, connection: Any, procedure: str, spans: Recorded
    ) -> None:
        cursor = connection.cursor()
        cursor.callproc(procedure, (4711, 0))
        span = spans.one()
        assert (span.name, tags(span)["db.query.summary"]) == ("CALL", f"CALL {procedure}")
        assert "4711" not in repr((span.facts, tags(span)))
        cursor.close()

    def test_a_failing_set_of_many_is_one_failed_span_and_the_next_statement_has_its_own(
        self, connection: Any, spans: Recorded
    ) -> None:
        cursor = connection.cursor()
        with pytest.raises(self.driver.Error):
            cursor.executemany(f"UPDATE nowhere SET what = {self.mark}", [("x",), ("y",)])
        cursor.execute("DO 1")
        failed, after = spans
        assert failed.failure is not None and after.failure is None

    def test_a_statement_in_bytes_is_read(self, connection: Any, spans: Recorded) -> None:
        connection.cursor().execute(b"UPDATE orders SET what = 'secret'")
        assert tags(spans.one())["db.statement"] == "UPDATE orders SET what = ?"

    def test_a_class_of_the_programs_own_is_one_span(self, connection: Any, spans: Recorded) -> None:
        base = type(connection.cursor())

        class Own(base):  # type: ignore[misc, valid-type]
            def execute(self, *args: Any, **kwargs: Any) -> Any:
                return super().execute(*args, **kwargs)

        Own(connection).execute("DO 1")
        assert len(spans) == 1

    def test_a_cursor_keeps_working_when_only_it_is_held(self, spans: Recorded) -> None:
        """Where the driver's own cursors do; a stand-in for the connection would be gone."""
        cursor = self.connect().cursor()
        gc.collect()
        try:
            cursor.execute("SELECT 1")
            alive: Any = list(cursor.fetchall())
        except self.driver.Error:
            alive = None
        assert alive == self.held_alone

    held_alone: Any = [(1,)]
    """What a cursor whose connection nobody holds gives without the agent; None: an exception."""

    def test_a_wrong_call_is_the_drivers_to_refuse(self, connection: Any, spans: Recorded) -> None:
        with pytest.raises(TypeError):
            connection.cursor().execute()
        assert spans == []

    def test_transactions_are_left_to_the_driver_unless_asked_for(self, connection: Any, spans: Recorded) -> None:
        connection.commit(), connection.rollback()
        assert spans == []
