"""sqlite3 under the agent: the contract, names of files, spans within a statement, and imports in every order."""

from __future__ import annotations

import sqlite3
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from autotrace import containment, registry
from autotrace.patches import sqlite3 as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.database import DatabaseContract
from tests.programs import bare, on_path, python
from tests.recorded import Recorded, is_child, tags


class TestSqlite3(DatabaseContract):
    component = "sqlite3"
    system = "sqlite"
    mark = "?"
    shared = {"db.instance": ":memory:", "db.namespace": ":memory:"}

    def connect(self) -> Any:
        return sqlite3.connect(":memory:")

    def connect_badly(self) -> Any:
        return sqlite3.connect("/no/such/folder/x.db")


@pytest.mark.parametrize(
    ("spelled", "named"),
    [
        ("{}", "{}"),
        (b"{}", "{}"),
        (Path("{}"), "{}"),
        ("file:{}?mode=rwc&key=secret", "file:{}"),
    ],
)
def test_a_file_is_named_as_the_program_wrote_it(tmp_path: Path, spans: Recorded, spelled: Any, named: str) -> None:
    file = str(tmp_path / "x.db")
    if isinstance(spelled, bytes):
        database: Any = file.encode()
    else:
        database = type(spelled)(str(spelled).replace("{}", file))
    sqlite3.connect(database, uri=named.startswith("file:")).execute("select 1")
    assert tags(spans.one())["db.instance"] == named.replace("{}", file)


def test_a_connect_that_fails_names_the_file(spans: Recorded) -> None:
    with pytest.raises(sqlite3.OperationalError):
        sqlite3.connect("/no/such/folder/x.db")
    assert tags(spans.one())["db.instance"] == "/no/such/folder/x.db"


def test_what_a_function_in_sql_does_is_a_child_of_the_statement(spans: Recorded) -> None:
    conn = sqlite3.connect(":memory:")
    conn.create_function("work", 0, lambda: trace.get_tracer("t").start_span("inner").end())
    conn.execute("select work()").fetchall()
    inner, statement = spans
    assert (inner.name, statement.name) == ("inner", "SELECT")
    assert is_child(inner, statement)


def test_a_script_is_one_span_named_after_its_first_statement(spans: Recorded) -> None:
    sqlite3.connect(":memory:").executescript("create table x (a); insert into x values ('secret')")
    assert spans.one().name == "CREATE TABLE x"
    assert "secret" not in repr(tags(spans.one()))


def test_a_cursor_of_no_connection_of_ours_has_facts_too(spans: Recorded) -> None:
    driver = sqlite3.Connection if sqlite3.Connection.__base__ is object else sqlite3.Connection.__base__
    ours = type(sqlite3.connect(":memory:").cursor())
    ours(driver(":memory:")).execute("select 1")  # type: ignore[misc,call-arg]
    assert tags(spans.one())["component"] == "sqlite3"


def test_our_failure_to_choose_a_class_leaves_the_programs_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "failures", {})
    monkeypatch.setattr(patch, "traced_class", lambda asked, ours: 1 / 0)
    monkeypatch.setattr(patch, "SharedFacts", lambda facts: 1 / 0)
    conn = sqlite3.connect(":memory:", factory=sqlite3.Connection)
    assert type(conn) is sqlite3.Connection
    assert conn.cursor(sqlite3.Cursor).execute("select 1").fetchall() == [(1,)]
    assert set(containment.failures) == {"sqlite3.connect", "sqlite3.cursor"}


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(sqlite3, plan)
    assert plan._steps == []


@pytest.mark.parametrize("lacking", ["connect", "Connection", "Cursor", "dbapi2"])
def test_a_module_that_lacks_something_is_refused_whole(lacking: str) -> None:
    fake = fakes()
    delattr(fake, lacking)
    before = dict(vars(fake))
    with pytest.raises(Unpatchable, match=lacking):
        patch.driver(fake, Plan())
    assert vars(fake) == before


@pytest.mark.parametrize("lacking", ["execute", "executemany", "executescript"])
def test_a_cursor_that_lacks_a_method_is_refused(lacking: str) -> None:
    fake = fakes()
    fake.Cursor = fake.dbapi2.Cursor = type("Cursor", (), {n: id for n in ("execute", "executemany") if n != lacking})
    with pytest.raises(Unpatchable):
        patch.driver(fake, Plan())


def fakes() -> Any:
    fake: Any = types.ModuleType("sqlite3")
    fake.connect, fake.Connection, fake.Cursor = lambda: None, type("Connection", (), {}), type("Cursor", (), {})
    fake.dbapi2 = types.SimpleNamespace(**{name: getattr(fake, name) for name in ("connect", "Connection", "Cursor")})
    return fake


LATE = """
import sqlite3
from sqlite3 import Connection, connect
class Own(Connection):
    def execute(self, *args): return super().execute(*args)
class Kursor(sqlite3.Cursor):
    pass
old = sqlite3.connect(":memory:")
import autotrace; autotrace.activate()
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
conn = sqlite3.connect(":memory:", factory=Own)
conn.execute("select 1"), conn.cursor(Kursor).execute("select 2")
sqlite3.connect(":memory:").cursor().execute("select 3")
print([span.facts["statement"] for span in spans])
print([type(old) is sqlite3.Connection is Connection, isinstance(conn, Own), isinstance(conn.cursor(Kursor), Kursor)])
print([type(conn) is type(sqlite3.connect(":memory:", factory=Own)), type(conn).__name__, repr(type(conn))])
print(old.execute("select 4").fetchall(), len(spans))
old.backup(conn), conn.backup(old)
"""


def test_imported_before_activate_new_connections_are_traced_and_old_ones_work_on() -> None:
    done = bare(*python(LATE), AUTOTRACE_EXPORTER="none")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['select 1', 'select 2', 'select 3']",
        "[True, True, True]",
        """[True, 'Own', "<class '__main__.Own'>"]""",
        "[(4,)] 3",
    ]


@pytest.mark.parametrize(
    "imports",
    [
        "from sqlite3 import connect",
        "from sqlite3.dbapi2 import connect",
        "import sqlite3.dbapi2; connect = sqlite3.connect",
    ],
)
def test_every_way_to_import_is_covered(imports: str) -> None:
    program = f"""{imports}
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
connect(":memory:").execute("select 1")
print(len(spans))"""
    done = on_path(*python(program))
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_the_registry_says_on() -> None:
    assert registry.states["sqlite3", "sqlite3"] == registry.ON


def test_switched_off_it_stays_the_drivers() -> None:
    program = "import sqlite3; print(sqlite3.Connection.__base__, type(sqlite3.connect).__name__)"
    done = on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="sqlite3")
    assert done.stdout == "<class 'object'> builtin_function_or_method\n"


@pytest.mark.parametrize("name", ["execute", "executemany", "executescript"])
def test_a_wrong_call_of_a_shortcut_is_refused_by_the_driver(name: str, spans: Recorded) -> None:
    conn = sqlite3.connect(":memory:")
    with pytest.raises(TypeError):
        getattr(conn, name)()
    assert spans == []
    assert sys.exc_info() == (None, None, None)
