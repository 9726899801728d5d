"""psycopg2 under the agent, on a real PostgreSQL: the contract, peers, COPY, batches, asynchronous answers, imports."""

from __future__ import annotations

import gc
import io
import types
from collections.abc import Iterator
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.sql
import pytest

from autotrace import containment, registry
from autotrace.databases.connection_facts import ByIdentity
from autotrace.patches import psycopg2 as patch
from autotrace.patching import MARK, Plan, Unpatchable
from autotrace.tracing.span import Span
from test_services.postgresql import PostgreSQL
from tests.contracts.database import DatabaseContract
from tests.programs import bare, on_path, python
from tests.recorded import Recorded, tags

PEER = ("peer.service", "peer.hostname", "peer.address", "peer.port", "server.address", "server.port")


class TestPsycopg2(DatabaseContract):
    component = "psycopg2"
    system = "postgresql"
    unknown_table = "42P01"

    @pytest.fixture(autouse=True)
    def server(self, postgresql: PostgreSQL) -> None:
        self.dsn = postgresql.dsn
        host, port = postgresql.host, postgresql.port
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

    def connect(self) -> Any:
        return psycopg2.connect(self.dsn)

    def connect_badly(self) -> Any:
        return psycopg2.connect("host=127.0.0.1 port=1 user=app connect_timeout=2")


@pytest.fixture
def conn(postgresql: PostgreSQL, spans: Recorded) -> Iterator[Any]:
    conn = psycopg2.connect(postgresql.dsn)
    cursor = conn.cursor()
    cursor.execute("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
    spans.clear()
    yield conn
    conn.close()


# -- the other side ---------------------------------------------------------------------------------------------------


class TestWhoIsCalled:
    def peer(self, conn: Any, spans: Recorded) -> list[Any]:
        conn.cursor().execute("SELECT 1")
        conn.close()
        return [tags(spans.one()).get(key) for key in PEER]

    def expected(self, host: str, port: int) -> list[Any]:
        return [host, host, f"{host}:{port}", port, host, port]

    def test_of_a_dsn(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        assert self.peer(psycopg2.connect(postgresql.dsn), spans) == self.expected("127.0.0.1", postgresql.port)

    def test_of_a_url(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        assert self.peer(psycopg2.connect(postgresql.url), spans) == self.expected("127.0.0.1", postgresql.port)

    def test_of_keywords_the_name_stays_a_name(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        conn = psycopg2.connect(host="localhost", port=postgresql.port, user="app", dbname="app")
        assert self.peer(conn, spans) == self.expected("localhost", postgresql.port)

    def test_of_the_environment(self, postgresql: PostgreSQL, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGHOST", "localhost")
        monkeypatch.setenv("PGPORT", str(postgresql.port))
        conn = psycopg2.connect("user=app dbname=app")
        assert self.peer(conn, spans) == self.expected("localhost", postgresql.port)

    def test_of_several_hosts_the_one_that_answered(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        conn = psycopg2.connect(f"host=127.0.0.1,localhost port=1,{postgresql.port} user=app dbname=app")
        assert self.peer(conn, spans) == self.expected("localhost", postgresql.port)

    def test_of_a_unix_socket_nobody(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        conn = psycopg2.connect(host=postgresql.socket_folder, port=postgresql.port, user="app", dbname="app")
        assert self.peer(conn, spans) == [None] * 6
        assert tags(spans[0])["db.instance"] == "app"

    def test_of_a_connect_that_fails(self, spans: Recorded) -> None:
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect("host=127.0.0.1 port=1 user=app dbname=shop connect_timeout=2")
        found = tags(spans.one())
        assert [found.get(key) for key in PEER] == self.expected("127.0.0.1", 1)
        assert (found["db.instance"], found["db.user"], found["error.type"]) == (
            "shop",
            "app",
            "psycopg2.OperationalError",
        )

    def test_of_a_bad_dsn_nobody(self, spans: Recorded) -> None:
        with pytest.raises(psycopg2.Error):
            psycopg2.extensions.connection("nonsense")
        assert [tags(spans.one()).get(key) for key in PEER] == [None] * 6

    def test_is_forgotten_with_the_connection(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        def known() -> int:
            return sum(len(x.by_id) for x in gc.get_objects() if isinstance(x, ByIdentity))

        gc.collect()
        before = known()
        conn = psycopg2.connect(postgresql.dsn)
        conn.cursor().execute("SELECT 1")
        assert known() == before + 1
        del conn
        assert known() == before


# -- statements -------------------------------------------------------------------------------------------------------


def test_a_composed_statement_is_read_without_its_values(conn: Any, spans: Recorded) -> None:
    from psycopg2 import sql

    query = sql.SQL("SELECT {} FROM {} WHERE what = {}").format(
        sql.Identifier("what"), sql.Identifier("orders"), sql.Literal("secret")
    )
    conn.cursor().execute(query)
    assert spans.one().name == "SELECT orders"
    assert tags(spans.one())["db.statement"] == 'SELECT "what" FROM "orders" WHERE what = ?'


def test_execute_values_is_masked_text_one_span_a_page(conn: Any, spans: Recorded) -> None:
    values = [(n, "secret") for n in range(5)]
    psycopg2.extras.execute_values(conn.cursor(), "INSERT INTO orders VALUES %s", values, page_size=2)
    assert [span.name for span in spans] == ["INSERT orders"] * 3
    assert [tags(span)["db.rows_affected"] for span in spans] == [2, 2, 1]
    assert {tags(span)["db.statement"] for span in spans} == {"INSERT INTO orders VALUES (?)"}


def test_execute_batch_is_one_span_a_page(conn: Any, spans: Recorded) -> None:
    psycopg2.extras.execute_batch(
        conn.cursor(), "INSERT INTO orders VALUES (%s, %s)", [(n, "secret") for n in range(5)], page_size=3
    )
    assert len(spans) == 2
    assert "secret" not in repr([tags(span) for span in spans])


def test_copy_names_the_table_and_counts_the_rows(conn: Any, spans: Recorded) -> None:
    cursor = conn.cursor()
    cursor.copy_from(io.StringIO("5\tx\n6\ty\n"), "orders")
    cursor.copy_to(io.StringIO(), "orders")
    cursor.copy_expert("COPY orders TO STDOUT", io.StringIO())
    assert [span.name for span in spans] == ["COPY orders"] * 3
    assert [tags(span)["db.rows_affected"] for span in spans] == [2, 2, 2]
    statements = [tags(span)["db.statement"] for span in spans]
    assert statements == ["COPY orders FROM STDIN", "COPY orders TO STDOUT", "COPY orders TO STDOUT"]


def test_callproc_is_a_call(conn: Any, spans: Recorded) -> None:
    conn.cursor().callproc("lower", ("SECRET",))
    assert (spans.one().name, tags(spans.one())["db.query.summary"]) == ("CALL", "CALL lower")
    assert "SECRET" not in repr(tags(spans.one()))


# -- asynchronous connections -----------------------------------------------------------------------------------------


@pytest.fixture
def later(postgresql: PostgreSQL, spans: Recorded) -> Any:
    later = psycopg2.connect(postgresql.dsn, async_=True)
    psycopg2.extras.wait_select(later)
    return later


def test_an_asynchronous_statement_ends_at_its_answer(later: Any, spans: Recorded) -> None:
    cursor = later.cursor()
    cursor.execute("SELECT pg_sleep(0.05)")
    assert spans == []
    psycopg2.extras.wait_select(later)
    span = spans.one()
    assert span.end_time is not None and span.end_time - span.start_time >= 50_000_000


def test_an_asynchronous_error_is_recorded(later: Any, spans: Recorded) -> None:
    cursor = later.cursor()
    cursor.execute("SELECT 1/0")
    with pytest.raises(psycopg2.errors.DivisionByZero):
        psycopg2.extras.wait_select(later)
    assert tags(spans.one())["db.sqlstate"] == "22012"


def test_an_asynchronous_statement_refused_at_once_ends_alone(later: Any, spans: Recorded) -> None:
    cursor = later.cursor()
    cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.ProgrammingError):
        cursor.execute("SELECT 2")
    assert [span.facts["statement"] for span in spans] == ["SELECT 2"]
    psycopg2.extras.wait_select(later)
    assert [span.facts["statement"] for span in spans] == ["SELECT 2", "SELECT 1"]


def test_an_asynchronous_statement_ends_with_its_connection(later: Any, spans: Recorded) -> None:
    conn = psycopg2.connect(later.dsn, async_=True)
    psycopg2.extras.wait_select(conn)
    conn.cursor().execute("SELECT 1")
    assert spans == []
    del conn
    assert len(spans) == 1


def test_an_asynchronous_connect_that_fails_is_a_span(spans: Recorded) -> None:
    conn = psycopg2.connect("host=127.0.0.1 port=1 user=app", async_=True)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.extras.wait_select(conn)
    assert spans.one().name == "connect"
    assert tags(spans.one())["peer.address"] == "127.0.0.1:1"


# -- our failures, and what is not psycopg2 ---------------------------------------------------------------------------


def test_our_failure_to_choose_a_class_leaves_the_programs_choice(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "failures", {})
    monkeypatch.setattr(patch, "traced_class", lambda asked, ours: 1 / 0)
    extras = psycopg2.extras
    conn = psycopg2.connect(postgresql.dsn, connection_factory=extras.RealDictConnection)
    assert type(conn) is extras.RealDictConnection
    cursor = conn.cursor()
    cursor.execute("SELECT 1 AS a")
    assert cursor.fetchall() == [{"a": 1}]
    assert set(containment.failures) <= {"psycopg2.connect", "psycopg2.cursor"} and containment.failures


def test_our_failure_to_read_the_connection_leaves_the_statement(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "failures", {})
    monkeypatch.setattr(ByIdentity, "__call__", lambda self, connection: 1 / 0)
    cursor = psycopg2.connect(postgresql.dsn).cursor()
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect("host=127.0.0.1 port=1 user=app")
    assert set(containment.failures) == {"psycopg2.execute", "psycopg2.connect"}


def test_our_failure_at_the_answer_leaves_the_answer(later: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "failures", {})
    cursor = later.cursor()
    cursor.execute("SELECT 1")
    monkeypatch.setattr(Span, "end", lambda self: 1 / 0)
    psycopg2.extras.wait_select(later)
    assert cursor.fetchall() == [(1,)]
    assert set(containment.failures) == {"psycopg2.poll"}
    containment.failures.clear()


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(psycopg2, plan)
    assert plan._steps == []


SYMBOLS = ["_psycopg", "extensions", "_connect"]
C_SYMBOLS = ["connection", "cursor", "_connect", "ReplicationConnection", "ReplicationCursor"]


def fake() -> Any:
    """A psycopg2 as it is before the patch."""
    real, module = psycopg2._psycopg, types.ModuleType("psycopg2")  # type: ignore[attr-defined]
    module._connect = getattr(psycopg2._connect, MARK)  # type: ignore[attr-defined]
    module.__spec__ = types.SimpleNamespace(_initializing=True)  # type: ignore[assignment]
    plain = {name: getattr(real, name) for name in C_SYMBOLS}
    plain["_connect"] = module._connect  # type: ignore[attr-defined]
    plain.update({name: bases_first(plain[name]) for name in C_SYMBOLS if isinstance(plain[name], type)})
    module._psycopg = types.SimpleNamespace(**plain)  # type: ignore[attr-defined]
    module.extensions = types.SimpleNamespace(connection=1, cursor=2)  # type: ignore[attr-defined]
    return module


def bases_first(kind: type) -> type:
    """The driver's own class under ours."""
    return next(k for k in kind.__mro__ if not k.__flags__ & (1 << 9))  # not made at run time


def test_the_fake_itself_would_be_patched() -> None:
    module, plan = fake(), Plan()
    patch.driver(module, plan)
    plan.apply()
    assert module.extensions.connection is module._psycopg.connection
    assert module.extensions.connection.__base__ is bases_first(module.extensions.connection)
    assert module._connect is module._psycopg._connect
    plan.undo()
    assert (module.extensions.connection, module.extensions.cursor) == (1, 2)


@pytest.mark.parametrize("lacking", SYMBOLS)
def test_a_module_that_lacks_something_is_refused_whole(lacking: str) -> None:
    module = fake()
    delattr(module, lacking)
    before = dict(vars(module))
    with pytest.raises(Unpatchable, match=lacking):
        patch.driver(module, Plan())
    assert vars(module) == before


@pytest.mark.parametrize("lacking", C_SYMBOLS)
def test_a_c_module_that_lacks_something_is_refused_whole(lacking: str) -> None:
    module = fake()
    delattr(module._psycopg, lacking)
    before = dict(vars(module)), dict(vars(module.extensions)), dict(vars(module._psycopg))
    with pytest.raises(Unpatchable, match=lacking):
        patch.driver(module, Plan())
    assert before == (vars(module), vars(module.extensions), vars(module._psycopg))


def test_the_registry_says_on() -> None:
    assert registry.states["psycopg2", "psycopg2"] == registry.ON


# -- imported before us -----------------------------------------------------------------------------------------------

LATE = """
import sys, psycopg2
from psycopg2 import connect, extras, sql
from psycopg2.extensions import connection, cursor
class Own(cursor):
    def execute(self, query, vars=None): return super().execute(query, vars)
class Slotted(cursor):
    __slots__ = ("x",)
dsn = sys.argv[1]
old = connect(dsn)
import autotrace; autotrace.activate()
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
new = connect(dsn)
for kind in (None, Own, Slotted, extras.RealDictCursor, extras.DictCursor, extras.NamedTupleCursor, cursor):
    k = new.cursor(cursor_factory=kind); k.execute("select 1 as a"); row = k.fetchone()
    print(len(spans), isinstance(k, kind or cursor), type(k).__name__, type(row).__name__); spans.clear()
k = connect(dsn, connection_factory=extras.RealDictConnection).cursor()
k.execute("select 1 as a"); print(dict(k.fetchone()), len(spans)); spans.clear()
print(type(connect(dsn)) is type(new), type(new.cursor(cursor_factory=Own)) is type(new.cursor(cursor_factory=Own)))
print(type(old) is connection, sql.Literal(1).as_string(old), isinstance(old, psycopg2.extensions.connection))
k = old.cursor(); k.execute("select 2"); print(k.fetchall(), len(spans))
new.cursor(cursor_factory=Own).x = 1
"""


def test_imported_before_activate_new_connections_are_traced_and_old_ones_work_on(postgresql: PostgreSQL) -> None:
    executable, flag, program = python(LATE)
    done = bare(executable, flag, program, postgresql.dsn, AUTOTRACE_EXPORTER="none")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "1 True cursor tuple",
        "1 True Own tuple",
        "1 True Slotted tuple",
        "1 True RealDictCursor RealDictRow",
        "1 True DictCursor DictRow",
        "1 True NamedTupleCursor Record",
        "1 True cursor tuple",
        "{'a': 1} 1",
        "True True",
        "True 1 True",
        "[(2,)] 0",
    ]


def test_switched_off_it_stays_the_drivers() -> None:
    program = "import psycopg2; print(psycopg2.extensions.connection.__base__, type(psycopg2._connect).__name__)"
    done = on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="psycopg2")
    assert done.stdout == "<class 'object'> builtin_function_or_method\n"
