"""pg8000 under the agent, on a real PostgreSQL: the contract for dbapi, legacy; native, prepared statements; peers."""

from __future__ import annotations

import gc
import io
import socket
import types
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pg8000.dbapi
import pg8000.legacy
import pg8000.native
import pytest

from autotrace import containment, registry
from autotrace.patches import pg8000 as patch
from autotrace.patching import Plan, Unpatchable
from test_services.postgresql import PostgreSQL
from tests.contracts.database import DatabaseContract
from tests.patches.test_psycopg import PEER, shared_of
from tests.programs import on_path, python
from tests.recorded import Recorded, tags


class TestDbapi(DatabaseContract):
    component = "pg8000"
    system = "postgresql"
    unknown_table = "42P01"
    interface: Any = pg8000.dbapi

    @pytest.fixture(autouse=True)
    def server(self, postgresql: PostgreSQL) -> None:
        self.where = {"user": "app", "database": "app", "host": postgresql.host, "port": postgresql.port}
        self.shared = {key: value for key, value in shared_of(postgresql).items() if not key.startswith("network.")}

    def connect(self) -> Any:
        return Tuples(self.interface.connect(**self.where))

    def connect_badly(self) -> Any:
        return self.interface.connect("app", host="127.0.0.1", port=1, timeout=2)

    def test_an_error_is_not_held_back(self, connection: Any, spans: Recorded) -> None:
        """By us: the driver's own frames hold it, until the garbage collector comes by."""

        class Program:
            pass

        def work() -> weakref.ref[Program]:
            mine = Program()
            try:
                connection.cursor().execute("SELECT nothing FROM nowhere")
            except Exception:
                pass
            return weakref.ref(mine)

        held = work()
        gc.collect()
        assert held() is None


class TestLegacy(TestDbapi):
    interface = pg8000.legacy
    chained = True


class Tuples:
    """A connection whose rows are the tuples that the contract compares with; else itself."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def cursor(self) -> Any:
        return Rows(self.real.cursor())


class Rows:
    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def fetchone(self) -> Any:
        return tuple(self.real.fetchone())

    def fetchall(self) -> Any:
        return [tuple(row) for row in self.real.fetchall()]


@pytest.fixture
def native(postgresql: PostgreSQL, spans: Recorded) -> Iterator[Any]:
    with pg8000.native.Connection("app", postgresql.host, "app", postgresql.port) as native:
        native.run("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
        spans.clear()
        yield native


@pytest.fixture(params=[pg8000.dbapi, pg8000.legacy])
def conn(request: pytest.FixtureRequest, postgresql: PostgreSQL, spans: Recorded) -> Iterator[Any]:
    with request.param.connect("app", postgresql.host, "app", postgresql.port) as conn:
        conn.cursor().execute("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
        spans.clear()
        yield conn


# -- native -----------------------------------------------------------------------------------------------------------


def test_run_is_one_span_with_its_rows_and_without_its_parameters(native: Any, spans: Recorded) -> None:
    native.run("INSERT INTO orders VALUES (:id, :what)", id=1, what="secret")
    assert native.run("SELECT what FROM orders") == [["secret"]]
    assert native.run(sql="SELECT count(*) FROM orders") == [[1]]
    assert [(span.name, tags(span)["db.rows_affected"]) for span in spans] == [
        ("INSERT orders", 1),
        ("SELECT orders", 1),
        ("SELECT orders", 1),
    ]
    assert "secret" not in repr([tags(span) for span in spans])


def test_an_error_has_its_sqlstate(native: Any, spans: Recorded) -> None:
    with pytest.raises(pg8000.native.DatabaseError):
        native.run("SELECT nothing FROM nowhere")
    assert tags(spans.one())["db.sqlstate"] == "42P01"


def test_each_run_of_a_prepared_statement_is_one_span(native: Any, spans: Recorded) -> None:
    statement = native.prepare("INSERT INTO orders VALUES (:id, 'secret')")
    assert spans == []
    statement.run(id=1), statement.run(id=2)
    assert [tags(span)["db.rows_affected"] for span in spans] == [1, 1]
    assert tags(spans[0])["db.statement"] == "INSERT INTO orders VALUES ($1)"


def test_a_statement_that_is_refused_when_prepared_is_a_failed_span(native: Any, spans: Recorded) -> None:
    with pytest.raises(pg8000.native.DatabaseError):
        native.prepare("SELECT * FROM nowhere WHERE a = :a")
    found = tags(spans.one())
    assert (spans.one().name, found["db.sqlstate"]) == ("SELECT nowhere", "42P01")
    assert found["db.statement"] == "SELECT * FROM nowhere WHERE a = :a"


def test_copy_is_one_span(native: Any, spans: Recorded) -> None:
    native.run("COPY orders FROM STDIN WITH (FORMAT text)", stream=io.BytesIO(b"1\tx\n2\ty\n"))
    assert (spans.one().name, tags(spans.one())["db.rows_affected"]) == ("COPY orders", 2)


# -- cursors ----------------------------------------------------------------------------------------------------------


def test_the_begin_that_it_sends_makes_no_span_the_programs_own_does(conn: Any, spans: Recorded) -> None:
    conn.commit()
    conn.cursor().execute("SELECT 1")
    conn.rollback()
    conn.cursor().execute("begin transaction")
    assert [span.facts["statement"] for span in spans] == ["SELECT 1", "begin transaction"]


def test_what_the_parameters_of_executemany_run_on_another_cursor_is_a_span(conn: Any, spans: Recorded) -> None:
    def parameters() -> Iterator[Any]:
        for n in range(2):
            conn.cursor().execute("SELECT 1")
            yield (n, "x")

    conn.cursor().executemany("INSERT INTO orders VALUES (%s, %s)", parameters())
    assert [span.name for span in spans] == ["SELECT", "SELECT", "INSERT orders"]
    assert tags(spans[2])["db.rows_affected"] == 2


def test_callproc_is_a_call(postgresql: PostgreSQL, spans: Recorded) -> None:
    conn = pg8000.dbapi.connect("app", postgresql.host, "app", postgresql.port)
    with pytest.raises(pg8000.dbapi.DatabaseError):
        conn.cursor().callproc("nothing_such", ("secret",))
    assert (spans.one().name, tags(spans.one())["db.query.summary"]) == ("CALL", "CALL nothing_such")
    assert "secret" not in repr(tags(spans.one())["db.statement"])
    conn.close()


def test_legacys_run_and_prepared_statements_are_one_span(postgresql: PostgreSQL, spans: Recorded) -> None:
    conn = pg8000.legacy.connect("app", postgresql.host, "app", postgresql.port)
    assert conn.run("SELECT :a::int", a=1) == ([1],)
    assert conn.prepare("SELECT :a::int").run(a=2) == ([2],)
    assert [span.facts["statement"] for span in spans] == ["SELECT :a::int"] * 2
    conn.close()


def test_the_driver_is_not_asked_for_what_it_warns_of(conn: Any, spans: Recorded) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conn.cursor().execute("SELECT 1")
    assert len(spans) == 1


def test_a_closed_cursor_is_refused_by_the_driver(conn: Any, spans: Recorded) -> None:
    cursor = conn.cursor()
    cursor.close()
    with pytest.raises(Exception, match="Cursor closed"):
        cursor.execute("SELECT 1")
    assert spans.one().failure is not None


# -- the other side ---------------------------------------------------------------------------------------------------


def peer(connection: Any, spans: Recorded) -> list[Any]:
    connection.run("SELECT 1")
    connection.close()
    return [tags(spans.one()).get(key) for key in PEER]


def test_the_name_stays_a_name(postgresql: PostgreSQL, spans: Recorded) -> None:
    port = postgresql.port
    found = peer(pg8000.native.Connection("app", port=port), spans)
    assert found == ["localhost", "localhost", f"localhost:{port}", port, "localhost", port]
    assert tags(spans.one())["db.instance"] == "app", "the user's name, where no database is named"


def test_a_unix_socket_has_no_peer(postgresql: PostgreSQL, spans: Recorded) -> None:
    path = f"{postgresql.socket_folder}/.s.PGSQL.{postgresql.port}"
    assert peer(pg8000.native.Connection(b"app", unix_sock=path), spans) == [None] * 6
    assert (tags(spans[0])["db.instance"], tags(spans[0])["db.user"]) == ("app", "app")


def test_a_socket_handed_in_has_no_known_peer(postgresql: PostgreSQL, spans: Recorded) -> None:
    sock = socket.create_connection((postgresql.host, postgresql.port))
    assert peer(pg8000.native.Connection("app", sock=sock), spans) == [None] * 6


def test_a_refused_connect_has_its_sqlstate(postgresql: PostgreSQL, spans: Recorded) -> None:
    with pytest.raises(pg8000.dbapi.DatabaseError):
        pg8000.dbapi.connect("app", postgresql.host, "nowhere", postgresql.port)
    assert (tags(spans.one())["db.sqlstate"], tags(spans.one())["db.instance"]) == ("3D000", "nowhere")


def test_a_wrong_call_is_no_connect(spans: Recorded) -> None:
    with pytest.raises(TypeError):
        pg8000.native.Connection()
    assert spans == []


# -- our failures, and what is not pg8000 -----------------------------------------------------------------------------


def test_our_failure_to_see_who_is_called_leaves_the_connect(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "failures", {})
    monkeypatch.setattr(patch, "shared_facts", lambda *args, **kwargs: 1 / 0)
    connection = pg8000.native.Connection("app", postgresql.host, "app", postgresql.port)
    assert connection.run("SELECT 1") == [[1]]
    connection.close()
    assert set(containment.failures) == {"pg8000.connect"}
    containment.failures.clear()


MODULES = [
    (patch.connections, pg8000.core, ["CoreConnection"]),
    (patch.cursors, pg8000.dbapi, ["Cursor", "Connection"]),
    (patch.cursors, pg8000.legacy, ["Cursor", "Connection"]),
    (patch.native, pg8000.native, ["Connection", "PreparedStatement"]),
]


@pytest.mark.parametrize(("function", "module", "_"), MODULES)
def test_patching_twice_is_patching_once(function: Any, module: Any, _: Any) -> None:
    plan = Plan()
    function(module, plan)
    assert plan._steps == []


@pytest.mark.parametrize(
    ("function", "module", "lacking"),
    [(function, module, name) for function, module, names in MODULES for name in names],
)
def test_a_module_that_lacks_something_is_refused_whole(function: Any, module: Any, lacking: str) -> None:
    fake: Any = types.ModuleType(module.__name__)
    vars(fake).update({name: value for name, value in vars(module).items() if name != lacking})
    before, plan = dict(vars(fake)), Plan()
    with pytest.raises(Unpatchable, match=lacking):
        function(fake, plan)
    assert vars(fake) == before and plan._undo == []


def test_the_registry_says_on() -> None:
    for name in ("core", "dbapi", "legacy", "native"):
        assert registry.states["pg8000", f"pg8000.{name}"] == registry.ON


def test_switched_off_it_stays_the_drivers() -> None:
    program = "import pg8000.dbapi as d; print(hasattr(d.Cursor.execute, '__wrapped__'))"
    assert on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="pg8000").stdout == "False\n"
    assert on_path(*python(program)).stdout == "True\n"
