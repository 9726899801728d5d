"""pyodbc under the agent, with MariaDB's ODBC driver on a real MariaDB: the contract; objects stay pyodbc's own."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from autotrace import registry
from autotrace.databases.connection_facts import ByAddress
from autotrace.databases.connects import keeping_facts
from autotrace.databases.driver import Driver
from autotrace.patches import pyodbc as patch
from autotrace.patching import Plan
from test_services import cache, odbc
from test_services.built_drivers import driver, search_path
from test_services.mariadb import MariaDB
from tests.contracts.database import DatabaseContract
from tests.programs import on_path, python
from tests.recorded import Recorded, tags


@pytest.fixture(scope="module", autouse=True)
def pyodbc() -> Any:
    try:
        TestPyodbc.driver, TestPyodbc.library = driver("pyodbc"), odbc.library("mariadb")
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

    def test_objects_are_the_drivers_own(self, spans: Recorded) -> None:
        connection = self.connect()
        cursor = connection.cursor()
        assert (type(connection), type(cursor)) == (self.driver.Connection, self.driver.Cursor)
        assert cursor.connection is connection
        assert cursor.execute("SELECT 1 UNION SELECT 2") is cursor

    def test_execute_of_a_connection_is_one_span(self, spans: Recorded) -> None:
        cursor = self.connect().execute("SELECT 1")
        gc.collect()
        assert [tuple(row) for row in cursor.fetchall()] == [(1,)]
        assert tags(spans.one())["peer.port"] == self.mariadb.port

    def test_execute_of_a_connection_tells_its_rows_and_its_error(self, connection: Any, spans: Recorded) -> None:
        connection.execute("UPDATE orders SET what = 'x'")
        with pytest.raises(self.driver.Error):
            connection.execute("SELECT nothing FROM nowhere")
        assert [tags(span).get("db.rows_affected") for span in spans] == [2, None]
        assert tags(spans[1])["db.sqlstate"] == "42S02"

    def test_each_connection_is_told_as_itself_also_at_the_address_of_another(self, spans: Recorded) -> None:
        for n in range(20):
            self.connect().execute(f"SELECT {n}")
            other = f"DRIVER={{{self.library}}};SERVER=localhost;SOCKET={self.mariadb.socket};UID=app"
            self.driver.connect(other).execute(f"SELECT {n}")
        assert [tags(span).get("peer.port") for span in spans] == [self.mariadb.port, None] * 20

    def test_what_is_remembered_of_connections_is_limited(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ByAddress, "MOST", 3)
        driver = Driver("pyodbc", "other_sql", ByAddress("pyodbc"))
        connect = keeping_facts(driver, patch._facts)(lambda *args: [])
        made = [connect(f"DATABASE=d{n}") for n in range(5)]
        instances = [driver.facts_of(connection).facts.get("instance") for connection in made]
        assert instances == [None, None, "d2", "d3", "d4"]

    def test_the_password_is_nowhere(self, spans: Recorded) -> None:
        with pytest.raises(self.driver.Error):
            self.connect_badly()
        assert "PWD" not in repr(tags(spans.one())) and "PWD" not in repr(spans[0].facts)


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("SERVER=h;PORT=5;UID=me;PWD=x;DATABASE=d",), {}, ("h", 5, "d", "me")),
        (("server = h ; port = 5;uid=me;pwd={a;SERVER=no;b=}}};database={d;}}1}",), {}, ("h", 5, "d;}1", "me")),
        ((), {"host": "h", "port": 5, "user": "me", "password": "x", "database": "d"}, ("h", 5, "d", "me")),
        (("SERVER=h;",), {"PORT": "5", "UID": "me", "Database": "d"}, ("h", 5, "d", "me")),
        (("SERVER=tcp:db.shop.example,1433;DATABASE=d",), {}, ("db.shop.example", 1433, "d", None)),
        (("SERVER=h\\instance;DATABASE=d",), {}, ("h", None, "d", None)),
        (("SERVER=::1;PORT=5",), {}, ("::1", 5, None, None)),
        (("DSN=shop;UID=me",), {}, (None, None, None, "me")),
        (("DATABASE=d;SOCKET=/run/s.sock",), {}, ("", None, "d", None)),
        (("SERVER=one;SERVER=two",), {}, ("one", None, None, None)),
        (("what is this",), {}, (None, None, None, None)),
        ((), {}, (None, None, None, None)),
    ],
)
def test_whom_a_connection_string_means(args: Any, kwargs: Any, expected: Any) -> None:
    facts = patch._facts(args, kwargs).facts
    host, port = facts.get("remote", (None, None))
    assert (host, port, facts.get("instance"), facts.get("user")) == expected
    assert "PWD" not in repr(facts) and "pwd" not in repr(facts)


@pytest.mark.parametrize("braces", ["{" * 50_000, "a={" + "}}" * 50_000, "=" * 50_000, " " * 50_000 + "x"])
def test_a_hostile_connection_string_costs_its_length(braces: str) -> None:
    patch._facts((braces,), {})


PROGRAM = """
import sys, pyodbc, opentelemetry.trace
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
pyodbc.pooling = False
conn = pyodbc.connect(sys.argv[1])
with conn: conn.execute("SELECT 1")
try:
    with conn: conn.execute("SELECT")
except pyodbc.Error: pass
with conn.cursor() as cur: cur.execute("SELECT 2")
try:
    with conn.cursor() as cur: 1/0
except ZeroDivisionError: pass
conn.commit(); conn.rollback(); conn.cursor().commit(); conn.cursor().rollback()
conn.autocommit = True
with conn: pass
with conn.cursor(): pass
for span in spans: print(span.name, *(["error"] if span.failure else []), span.shared.facts["remote"][0])
"""


@pytest.mark.parametrize("settings", [{}, {"AUTOTRACE_TRACE_CONNECTS": "1"}, {"AUTOTRACE_TRACE_TRANSACTIONS": "1"}])
def test_connects_and_the_ends_of_transactions_have_spans_if_asked_for(
    settings: dict[str, str], pyodbc: Any, mariadb: MariaDB
) -> None:
    to = f"DRIVER={{{TestPyodbc.library}}};SERVER={mariadb.host};PORT={mariadb.port};UID=app;PWD=pw;DATABASE=app"
    done = on_path(*python(PROGRAM), to, PYTHONPATH=search_path(), **settings)
    expected = (
        "connect, SELECT, commit, SELECT error, rollback, SELECT, commit, commit, rollback, commit, rollback".split(
            ", "
        )
    )
    hidden = {"connect"} if "AUTOTRACE_TRACE_CONNECTS" not in settings else set()
    if "AUTOTRACE_TRACE_TRANSACTIONS" not in settings:
        hidden |= {"commit", "rollback"}
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"{name} 127.0.0.1" for name in expected if name not in hidden]


def test_patching_twice_is_patching_once(pyodbc: Any) -> None:
    plan = Plan()
    patch.driver(pyodbc, plan)
    assert plan._steps == []
    assert registry.states["pyodbc", "pyodbc"] == registry.ON
