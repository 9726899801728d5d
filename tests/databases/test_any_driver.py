"""AUTOTRACE_DBAPI: a made-up driver, CyMySQL (Python classes) on a real MariaDB, pysqlite3 (C classes)."""

from __future__ import annotations

import gc
import sys
import textwrap
import types
import weakref
from pathlib import Path
from typing import Any

import pytest

import autotrace.activation
from autotrace import registry
from autotrace.databases import any_driver
from autotrace.patching import Plan, Unpatchable
from test_services.mariadb import MariaDB
from tests.contracts.database import DatabaseContract
from tests.programs import bare, on_path, python
from tests.recorded import Recorded, tags

MADE_UP = """
    apilevel, threadsafety, paramstyle = "2.0", 1, "qmark"
    class Error(Exception): pass
    class Connection:
        def __init__(self, host, user):
            self.host, self.user = host, user
        def cursor(self):
            return Cursor(self)
        def commit(self): pass
        def rollback(self): pass
        def close(self): pass
    class Cursor:
        rowcount = -1
        def __init__(self, connection):
            self.ran = []
        def execute(self, operation, parameters=()):
            if "nowhere" in operation:
                raise Error("no such table")
            self.ran.append(operation)
            self.rowcount = 1
            return self
        def executemany(self, operation, seq_of_parameters):
            for parameters in seq_of_parameters:
                self.execute(operation, parameters)
        def close(self): pass
    def connect(host, user=None, password=None):
        if host == "down":
            raise Error("refused")
        return Connection(host, user)
"""


def made_up(source: str = MADE_UP, name: str = "made_up_driver") -> Any:
    module = types.ModuleType(name)
    exec(textwrap.dedent(source), module.__dict__)
    return module


@pytest.fixture
def driver() -> Any:
    """The made-up driver, traced."""
    module, plan = made_up(), Plan()
    any_driver.driver(module, plan)
    plan.apply()
    return module


# -- a made-up driver -------------------------------------------------------------------------------------------------


def test_a_statement_is_a_span_that_names_its_driver_and_its_server(driver: Any, spans: Recorded) -> None:
    cursor = driver.connect("db.example", user="app", password="secret").cursor()
    assert cursor.execute("SELECT what FROM orders WHERE id = 1") is cursor
    span = spans.one()
    found = tags(span)
    assert span.name == "SELECT orders"
    expected = {"component": "made_up_driver", "db.system.name": "other_sql", "peer.hostname": "db.example"}
    expected |= {"db.user": "app", "db.statement": "SELECT what FROM orders WHERE id = ?"}
    assert {key: found.get(key) for key in expected} == expected
    assert found["db.rows_affected"] == 1
    assert "secret" not in repr((span.facts, span.shared.facts if span.shared else None, found))


def test_executemany_by_execute_is_one_span(driver: Any, spans: Recorded) -> None:
    cursor = driver.connect("h").cursor()
    cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    assert (len(cursor.ran), tags(spans.one())["db.operation.batch.size"]) == (2, 2)


@pytest.mark.parametrize("name", ["operation", "query", "sql", "statement"])
def test_the_statement_is_found_by_any_of_its_usual_names(name: str, spans: Recorded) -> None:
    module, plan = made_up(MADE_UP.replace("operation", name)), Plan()
    any_driver.driver(module, plan)
    plan.apply()
    module.connect("h").cursor().execute(**{name: "SELECT 1 FROM t"})
    assert spans.one().name == "SELECT t"


def test_its_classes_stay_its_own(driver: Any) -> None:
    connection = driver.connect("h")
    assert type(connection) is driver.Connection and type(connection.cursor()) is driver.Cursor
    assert driver.connect.__name__ == "connect"


def test_undone_its_classes_are_as_they_were(spans: Recorded) -> None:
    module, plan = made_up(), Plan()
    before = {kind: dict(vars(kind)) for kind in (module.Connection, module.Cursor)}
    any_driver.driver(module, plan)
    plan.apply()
    module.connect("h").cursor().execute("SELECT 1")
    plan.undo()
    assert {kind: dict(vars(kind)) for kind in before} == before
    module.connect("h").cursor().execute("SELECT 2")
    assert len(spans) == 1


def test_a_derived_class_of_the_programs_is_one_span(driver: Any, spans: Recorded) -> None:
    connection = driver.connect("h")
    connection.cursor()

    class Own(driver.Cursor):  # type: ignore[misc, name-defined]
        def execute(self, operation: str, parameters: Any = ()) -> Any:
            return super().execute(operation, parameters)

    Own(connection).execute("SELECT 1")
    assert len(spans) == 1


def test_its_exceptions_pass_untouched(driver: Any, spans: Recorded) -> None:
    with pytest.raises(driver.Error, match="no such table") as caught:
        driver.connect("h").cursor().execute("SELECT 1 FROM nowhere")
    assert caught.value.__context__ is None
    assert tags(spans.one())["error.type"] == "made_up_driver.Error"


def test_a_failed_connect_is_a_span(driver: Any, spans: Recorded) -> None:
    with pytest.raises(driver.Error):
        driver.connect("down", "app")
    assert spans.one().name == "connect"
    spans.clear()
    with pytest.raises(driver.Error):
        driver.connect(host="down")
    assert tags(spans.one())["peer.hostname"] == "down"
    spans.clear()
    with pytest.raises(TypeError):
        driver.connect()
    assert spans == [], "a wrong call is no connect"


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("made://app:secret@db.example:77/shop", ["db.example", 77, "shop", "app"]),
        ("host=db.example port=77 dbname=shop user=app password=secret", ["db.example", 77, "shop", "app"]),
        ("Server=db.example;Database=shop;Uid=app;Pwd=secret", ["db.example", None, "shop", "app"]),
        ("made://[db.example", [None] * 4),
        ("shop.db", [None] * 4),
    ],
)
def test_a_dsn_is_read_without_its_password(dsn: str, expected: list[Any], spans: Recorded) -> None:
    module, plan = made_up("class C: cursor = 1\ndef connect(dsn): raise OSError('down')"), Plan()
    any_driver.driver(module, plan)
    plan.apply()
    with pytest.raises(OSError):
        module.connect(dsn)
    found = tags(spans.one())
    assert [found.get(key) for key in ("peer.hostname", "peer.port", "db.instance", "db.user")] == expected
    assert "secret" not in repr(found)


def test_connections_are_let_go(driver: Any, spans: Recorded) -> None:
    connection = driver.connect("h")
    cursor, seen = connection.cursor(), weakref.ref(connection)
    cursor.execute("SELECT 1")
    del connection
    gc.collect()
    assert seen() is None, "this driver's cursors do not hold their connection, and neither do we"
    assert tags(spans.one())["peer.hostname"] == "h"


def test_a_class_as_connect_stays_a_class(spans: Recorded) -> None:
    source = MADE_UP.partition("    def connect(")[0] + "    connect = Connection\n"
    module, plan = made_up(source), Plan()
    any_driver.driver(module, plan)
    plan.apply()
    connection = module.connect("h", "app")
    assert isinstance(connection, module.connect)
    connection.cursor().execute("SELECT 1")
    assert tags(spans.one())["peer.hostname"] == "h"


def test_a_module_without_connect_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unpatchable):
        any_driver.driver(made_up("cursor = 1", "no_driver"), Plan())
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "AUTOTRACE_DBAPI=no_driver: the module has no connect()" in said


def test_what_is_no_connection_is_told_in_one_line_and_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    module, plan = made_up("def connect(): return 7", "odd_driver"), Plan()
    any_driver.driver(module, plan)
    plan.apply()
    assert module.connect() == 7
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "AUTOTRACE_DBAPI=odd_driver: connect() returned an object without cursor()" in said


# -- the setting ------------------------------------------------------------------------------------------------------


def test_a_library_with_a_patch_of_its_own_keeps_it() -> None:
    assert registry.dbapi_rows(("psycopg2", "mydriver", "pymysql.connections")) == {
        "mydriver": {"mydriver": registry.BY_INTERFACE}
    }


PROGRAM = """
import sys
from mydriver import connect
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
connect("h").cursor().execute("SELECT 1 FROM t")
print([span.name for span in spans], "wrapt" in sys.modules)
"""


def test_the_setting_traces_a_driver_that_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "mydriver.py").write_text(textwrap.dedent(MADE_UP))
    done = on_path(*python(PROGRAM), AUTOTRACE_DBAPI="other, mydriver", PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("['SELECT t'] False\n", "")


ENDS = """
import sys
import {0}
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
connection = {0}.connect("{1}"); connection.commit()
print([span.name for span in spans])
"""


@pytest.mark.parametrize(("name", "argument"), [("mydriver", "h"), ("pysqlite3", ":memory:")])
def test_connects_and_transactions_have_spans_if_asked_for(name: str, argument: str, tmp_path: Path) -> None:
    (tmp_path / "mydriver.py").write_text(textwrap.dedent(MADE_UP))
    asked = {"AUTOTRACE_TRACE_CONNECTS": "true", "AUTOTRACE_TRACE_TRANSACTIONS": "true", "AUTOTRACE_DBAPI": name}
    for settings, expected in (({}, []), (asked, ["connect", "commit"])):
        program = ENDS.format(name, argument).replace("import sys", "import sys, opentelemetry.trace")
        done = on_path(*python(program), **{"AUTOTRACE_DBAPI": name, **settings}, PYTHONPATH=str(tmp_path))
        assert (done.stdout, done.stderr) == (f"{expected}\n", "")


def test_without_the_setting_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mydriver.py").write_text(textwrap.dedent(MADE_UP))
    facts = "mydriver.connect.__code__.co_filename, 'autotrace.databases.any_driver' in sys.modules"
    program = f"import mydriver, sys; print({facts})"
    done = on_path(*python(program), PYTHONPATH=str(tmp_path))
    assert done.stdout == f"{tmp_path}/mydriver.py False\n"


def test_a_module_that_is_no_driver_runs_on_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "mydriver.py").write_text("x = 1\n")
    done = on_path(*python("import mydriver; print(mydriver.x)"), AUTOTRACE_DBAPI="mydriver", PYTHONPATH=str(tmp_path))
    assert done.stdout == "1\n"
    assert done.stderr.count("\n") == 1 and "AUTOTRACE_DBAPI=mydriver: the module has no connect()" in done.stderr


def test_check_lists_it(tmp_path: Path) -> None:
    (tmp_path / "mydriver.py").write_text(textwrap.dedent(MADE_UP))
    program = "import sys; from autotrace import check; check.report(sys.stdout)"
    done = bare(
        *python(program), AUTOTRACE_DBAPI="mydriver,absent", PYTHONPATH=str(tmp_path), AUTOTRACE_EXPORTER="none"
    )
    lines = [line.split(None, 1) for line in done.stdout.splitlines() if "driver" in line or "absent" in line]
    assert ["absent", "off: not installed"] in lines
    assert any(line[0] == "mydriver" and line[1].startswith("on") for line in lines)


# -- a real one of Python classes -------------------------------------------------------------------------------------


def watch(name: str) -> Any:
    """The library `name`, named by the setting."""
    assert autotrace.activation.watcher is not None
    autotrace.activation.watcher.watch(registry.dbapi_rows((name,)), ())
    return __import__(name)


class TestCyMySQL(DatabaseContract):
    component = "cymysql"
    system = "other_sql"

    @pytest.fixture(autouse=True)
    def server(self, mariadb: MariaDB) -> None:
        self.driver = watch("cymysql")
        self.to = {"host": mariadb.host, "port": mariadb.port, "user": "app", "passwd": "pw", "db": "app"}
        host, port = mariadb.host, mariadb.port
        peer = {"peer.service": host, "peer.hostname": host, "peer.address": f"{host}:{port}", "peer.ipv4": host}
        server = {"peer.port": port, "server.address": host, "server.port": port}
        self.shared = {"db.instance": "app", "db.namespace": "app", "db.user": "app", **peer, **server}

    def connect(self) -> Any:
        return self.driver.connect(**self.to)

    def connect_badly(self) -> Any:
        return self.driver.connect(**{**self.to, "port": 1})

    def test_an_error_is_not_held_back(self, connection: Any, spans: Recorded) -> None:
        """Its cursors keep their errors. Our frames in the tracebacks close a circle, as a Python driver's do."""
        cursor = connection.cursor()
        with pytest.raises(self.driver.Error):
            cursor.execute("SELECT nothing FROM nowhere")
        seen = weakref.ref(cursor)
        del cursor
        gc.collect()
        assert seen() is None


# -- a real one of C classes ------------------------------------------------------------------------------------------


class TestPysqlite3(DatabaseContract):
    """Its classes can neither be changed nor, by PEP 249, chosen."""

    component = "pysqlite3"
    system = "other_sql"
    mark = "?"

    @pytest.fixture(autouse=True)
    def server(self) -> None:
        self.driver = watch("pysqlite3")
        self.shared = {"db.instance": ":memory:", "db.namespace": ":memory:"}

    def connect(self) -> Any:
        return self.driver.connect(database=":memory:")

    def connect_badly(self) -> Any:
        return self.driver.connect(database="/nowhere/at/all")

    def test_a_stand_in_is_taken_for_the_real_one(self) -> None:
        connection = self.connect()
        cursor = connection.cursor()
        assert isinstance(connection, self.driver.Connection) and isinstance(cursor, self.driver.Cursor)
        assert cursor.connection is connection
        assert cursor.execute("SELECT 1 UNION SELECT 2") is cursor
        assert next(cursor) == (1,) and list(cursor) == [(2,)]
        with connection as same:
            assert same is connection

    def test_a_cursor_lives_when_only_it_is_held(self, spans: Recorded) -> None:
        cursor = self.connect().cursor()
        gc.collect()
        assert cursor.execute("SELECT 1").fetchall() == [(1,)]
        assert len(spans) == 1


def test_both_were_patched_by_their_interface() -> None:
    for name in ("cymysql", "pysqlite3"):
        if name in sys.modules:
            assert registry.states[name, name] == registry.ON
