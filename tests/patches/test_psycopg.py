"""psycopg 3 under the agent, on a real PostgreSQL: the contract, sync and async; pipelines, rows, COPY, pool; peers."""

from __future__ import annotations

import asyncio
import inspect
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest
from opentelemetry import trace
from psycopg import sql
from psycopg.rows import dict_row

from autotrace import containment, registry
from autotrace.databases import streaming
from autotrace.patches import psycopg as patch
from autotrace.patching import Plan, Unpatchable
from test_services.postgresql import PostgreSQL
from tests.contracts.awaited_database import AwaitedDatabaseContract, InALoop
from tests.contracts.database import DatabaseContract
from tests.programs import on_path, python
from tests.recorded import Recorded, is_child, nothing_current, tags

PEER = ("peer.service", "peer.hostname", "peer.address", "peer.port", "server.address", "server.port")


def shared_of(server: PostgreSQL) -> dict[str, Any]:
    host, port = server.host, server.port
    return {
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
        "network.peer.address": host,
    }


class TestPsycopg(DatabaseContract):
    component = "psycopg"
    system = "postgresql"
    unknown_table = "42P01"

    @pytest.fixture(autouse=True)
    def server(self, postgresql: PostgreSQL) -> None:
        self.dsn = postgresql.dsn
        self.shared = shared_of(postgresql)

    def connect(self) -> Any:
        return psycopg.connect(self.dsn)

    def connect_badly(self) -> Any:
        return psycopg.connect("host=127.0.0.1 port=1 user=app connect_timeout=2")


class TestClientCursors(TestPsycopg):
    """They put the parameters into the statement themselves."""

    def connect(self) -> Any:
        return psycopg.connect(self.dsn, cursor_factory=psycopg.ClientCursor)


class TestAwaited(InALoop, TestPsycopg):
    """The contract of cursors, with each call awaited."""

    def connect(self) -> Any:
        return self.awaiting(psycopg.AsyncConnection.connect(self.dsn))

    def connect_badly(self) -> Any:
        return self.awaiting(psycopg.AsyncConnection.connect("host=127.0.0.1 port=1 user=app connect_timeout=2"))


class TestTasks(AwaitedDatabaseContract):
    refused = psycopg.OperationalError

    async def open(self, server: PostgreSQL) -> Any:
        return await psycopg.AsyncConnection.connect(server.dsn, autocommit=True)

    async def run(self, connection: Any, statement: str) -> Any:
        return await connection.execute(statement)

    async def connect_badly(self) -> Any:
        return await psycopg.AsyncConnection.connect("host=127.0.0.1 port=1 user=app connect_timeout=2")


@pytest.fixture
def conn(postgresql: PostgreSQL, spans: Recorded) -> Iterator[Any]:
    with psycopg.connect(postgresql.dsn) as conn:
        conn.execute("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
        spans.clear()
        yield conn


def in_a_loop(postgresql: PostgreSQL, spans: Recorded, work: Callable[[Any], Any]) -> Any:
    async def main() -> Any:
        async with await psycopg.AsyncConnection.connect(postgresql.dsn) as conn:
            await conn.execute("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
            spans.clear()
            return await work(conn)

    return asyncio.run(main())


# -- the other side ---------------------------------------------------------------------------------------------------


class TestWhoIsCalled:
    def peer(self, conn: Any, spans: Recorded) -> list[Any]:
        conn.execute("SELECT 1")
        conn.close()
        return [tags(spans.one()).get(key) for key in PEER]

    def expected(self, host: str, port: int) -> list[Any]:
        return [host, host, f"{host}:{port}", port, host, port]

    def test_of_a_url(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        assert self.peer(psycopg.connect(postgresql.url), spans) == self.expected("127.0.0.1", postgresql.port)

    def test_of_keywords_the_name_stays_a_name_and_the_address_is_told(
        self, postgresql: PostgreSQL, spans: Recorded
    ) -> None:
        conn = psycopg.connect(host="localhost", hostaddr="127.0.0.1", port=postgresql.port, user="app", dbname="app")
        assert self.peer(conn, spans) == self.expected("localhost", postgresql.port)
        assert tags(spans.one())["network.peer.address"] == "127.0.0.1"

    def test_of_the_environment(self, postgresql: PostgreSQL, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGHOST", "localhost")
        monkeypatch.setenv("PGPORT", str(postgresql.port))
        assert self.peer(psycopg.connect("user=app dbname=app"), spans) == self.expected("localhost", postgresql.port)

    def test_of_several_hosts_the_one_that_answered(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        conn = psycopg.connect(f"host=127.0.0.1,localhost port=1,{postgresql.port} user=app dbname=app")
        assert self.peer(conn, spans) == self.expected("localhost", postgresql.port)

    def test_of_a_unix_socket_nobody(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        conn = psycopg.connect(host=postgresql.socket_folder, port=postgresql.port, user="app", dbname="app")
        assert self.peer(conn, spans) == [None] * 6
        assert tags(spans[0])["db.instance"] == "app"
        assert not [key for key in tags(spans[0]) if key.startswith("network.")]

    def test_of_a_connect_that_fails(self, spans: Recorded) -> None:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect("host=127.0.0.1 port=1 user=app dbname=shop connect_timeout=2")
        found = tags(spans.one())
        assert [found.get(key) for key in PEER] == self.expected("127.0.0.1", 1)
        assert (found["db.instance"], found["db.user"]) == ("shop", "app")
        assert found["error.type"] == "psycopg.OperationalError"

    def test_of_a_refused_password_with_its_sqlstate(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgresql.dsn.replace("user=app", "user=nobody_knows"))
        assert tags(spans.one())["db.user"] == "nobody_knows"
        assert tags(spans.one())["peer.port"] == postgresql.port

    def test_of_a_connect_that_is_given_up_whom_it_would_have_been(
        self, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def main() -> int:
            kept: list[Any] = []  # else they are closed
            silent = await asyncio.start_server(lambda reader, writer: kept.append(writer), "127.0.0.1", 0)
            port: int = silent.sockets[0].getsockname()[1]
            monkeypatch.setenv("PGPORT", str(port))
            with pytest.raises(asyncio.TimeoutError):
                connect = psycopg.AsyncConnection.connect("host=127.0.0.9,127.0.0.1 user=app", dbname="shop")
                await asyncio.wait_for(connect, 0.1)
            for writer in kept:
                writer.close()
            silent.close()
            return port

        port = asyncio.run(main())
        found = tags(spans.one())
        assert [found.get(key) for key in PEER] == self.expected("127.0.0.1", port)
        assert (found["db.instance"], found["db.user"]) == ("shop", "app")

    def test_of_a_bad_dsn_nobody(self, spans: Recorded) -> None:
        with pytest.raises(psycopg.Error):
            psycopg.connect("nonsense")
        assert [tags(spans.one()).get(key) for key in PEER] == [None] * 6

    def test_of_a_closed_connection_nobody(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        conn = psycopg.connect(postgresql.dsn)
        cursor = conn.cursor()
        conn.close()
        with pytest.raises(psycopg.OperationalError):
            cursor.execute("SELECT 1")
        assert spans.one().failure is not None

    def test_a_wrong_call_is_no_connect(self, spans: Recorded) -> None:
        with pytest.raises(TypeError):
            psycopg.connect(1, 2, 3)  # type: ignore[call-overload]
        assert spans == []


# -- statements -------------------------------------------------------------------------------------------------------


def test_a_composed_statement_is_read_without_its_values(conn: Any, spans: Recorded) -> None:
    query = sql.SQL("SELECT {} FROM {} WHERE what = {} AND id = {}").format(
        sql.Identifier("what"), sql.Identifier("orders"), sql.Literal("secret"), sql.Placeholder()
    )
    conn.execute(query, (1,))
    assert spans.one().name == "SELECT orders"
    assert tags(spans.one())["db.statement"] == 'SELECT "what" FROM "orders" WHERE what = ? AND id = %s'


def test_names_joined_and_schemas_and_named_placeholders(conn: Any, spans: Recorded) -> None:
    columns = sql.SQL(", ").join([sql.Identifier("id"), sql.Identifier("what")])
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({}, {})").format(
        sql.Identifier("pg_temp", "orders"), columns, sql.Placeholder("n"), sql.Literal("secret")
    )
    conn.execute(query, {"n": 5})
    assert tags(spans.one())["db.query.summary"] == "INSERT pg_temp.orders"
    statement = tags(spans.one())["db.statement"]
    assert statement == 'INSERT INTO "pg_temp"."orders" ("id", "what") VALUES (%(n)s)'


def test_bytes_are_a_statement(conn: Any, spans: Recorded) -> None:
    conn.execute(b"SELECT what FROM orders WHERE what = 'secret'")
    assert tags(spans.one())["db.statement"] == "SELECT what FROM orders WHERE what = ?"


def test_a_statement_is_kept_by_reference(conn: Any, spans: Recorded) -> None:
    query = "SELECT what FROM orders"
    conn.execute(query)
    assert spans.one().facts["statement"] is query


def test_own_subclasses_and_row_factories_work_and_are_one_span(postgresql: PostgreSQL, spans: Recorded) -> None:
    class Own(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            return super().execute(query, *args, **kwargs)

    class Link(psycopg.Connection[Any]):
        pass

    with Link.connect(postgresql.dsn, cursor_factory=Own, row_factory=dict_row) as conn:
        cursor = conn.execute("SELECT 1 AS a")
        assert (type(conn), type(cursor), cursor.fetchall()) == (Link, Own, [{"a": 1}])
    assert len(spans) == 1


def test_a_server_cursor_is_one_span_whatever_it_fetches(conn: Any, spans: Recorded) -> None:
    with conn.cursor("named") as cursor:
        cursor.execute("SELECT generate_series(1, 500)")
        assert len(list(cursor)) == 500
    assert [span.name for span in spans] == ["SELECT"]


def test_a_raw_cursor_is_one_span(conn: Any, spans: Recorded) -> None:
    cursor = psycopg.RawCursor(conn)
    assert cursor.execute("SELECT $1::int", [7]).fetchone() == (7,)
    assert tags(spans.one())["db.statement"] == "SELECT $1::int"


# -- streams and COPY -------------------------------------------------------------------------------------------------


def test_a_stream_is_one_span_until_its_last_row(conn: Any, spans: Recorded) -> None:
    rows = conn.cursor().stream("SELECT generate_series(1, 3)")
    assert spans == []
    for n, row in enumerate(rows):
        assert row == (n + 1,) and spans == [] and nothing_current()
    assert spans.one().name == "SELECT"
    assert isinstance(rows, types.GeneratorType)


def test_a_stream_broken_off_is_no_error(conn: Any, spans: Recorded) -> None:
    for row in conn.cursor().stream("SELECT generate_series(1, 100)"):
        assert row == (1,)
        break
    assert spans.one().failure is None


def test_a_stream_that_fails_says_so(conn: Any, spans: Recorded) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        list(conn.cursor().stream("SELECT 1/0"))
    assert tags(spans.one())["db.sqlstate"] == "22012"


def test_a_wrong_call_of_stream_is_refused_at_once(conn: Any, spans: Recorded) -> None:
    with pytest.raises(TypeError):
        conn.cursor().stream()
    assert spans == []


def test_copy_lasts_as_long_as_its_block_and_counts_the_rows(conn: Any, spans: Recorded) -> None:
    cursor = conn.cursor()
    with cursor.copy("COPY orders FROM STDIN") as copy:
        for n in range(3):
            copy.write_row((n, "x"))
        assert nothing_current() and spans == []
    with cursor.copy("COPY orders TO STDOUT") as copy:
        assert len(list(copy.rows())) == 3
    assert [(span.name, tags(span)["db.rows_affected"]) for span in spans] == [("COPY orders", 3)] * 2


def test_copy_ends_with_the_programs_own_error(conn: Any, spans: Recorded) -> None:
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught, conn.cursor().copy("COPY orders FROM STDIN"):
        raise error
    assert caught.value is error
    assert tags(spans.one())["error.type"] == "KeyError"


def test_copy_that_is_refused_says_so(conn: Any, spans: Recorded) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable), conn.cursor().copy("COPY nowhere FROM STDIN"):
        pass
    assert tags(spans.one())["db.sqlstate"] == "42P01"


def test_awaited_streams_and_copies(postgresql: PostgreSQL, spans: Recorded) -> None:
    async def work(conn: Any) -> None:
        cursor = conn.cursor()
        async with cursor.copy("COPY orders FROM STDIN") as copy:
            await copy.write_row((1, "x"))
            assert nothing_current()
        assert [row async for row in cursor.stream("SELECT generate_series(1, 3)")] == [(1,), (2,), (3,)]
        rows = cursor.stream("SELECT generate_series(1, 9000000)")
        assert await anext(rows) == (1,)
        await rows.aclose()
        assert conn.info.transaction_status.name == "INERROR", "its end has been waited for"
        await conn.rollback()
        with pytest.raises(psycopg.errors.DivisionByZero):
            [row async for row in cursor.stream("SELECT 1/0")]

    in_a_loop(postgresql, spans, work)
    assert [(span.name, span.facts.get("sqlstate")) for span in spans] == [
        ("COPY orders", None),
        ("SELECT", None),
        ("SELECT", None),
        ("SELECT", "22012"),
    ]


# -- pipelines --------------------------------------------------------------------------------------------------------


def test_in_a_pipeline_a_span_ends_at_its_answer(conn: Any, spans: Recorded) -> None:
    with conn.pipeline() as pipeline:
        first = conn.execute("SELECT pg_sleep(0.05)")
        second = conn.execute("INSERT INTO orders VALUES (1, 'x'), (2, 'y')")
        assert spans == []
        pipeline.sync()
        assert [span.name for span in spans] == ["SELECT", "INSERT orders"]
        assert (first.fetchone(), second.rowcount) == (("",), 2)
    asleep, insert = spans
    assert asleep.end_time is not None and asleep.end_time - asleep.start_time >= 50_000_000
    assert tags(insert)["db.rows_affected"] == 2


def test_in_a_pipeline_many_sets_are_one_span(conn: Any, spans: Recorded) -> None:
    with conn.pipeline():
        conn.cursor().executemany("INSERT INTO orders VALUES (%s, %s)", [(n, "x") for n in range(5)])
        assert spans == []
    assert tags(spans.one())["db.operation.batch.size"] == 5


def test_in_a_pipeline_an_error_belongs_to_its_statement(conn: Any, spans: Recorded) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), conn.pipeline() as pipeline:
        conn.execute("SELECT 1")
        conn.execute("SELECT 1/0")
        time.sleep(0.05)  # so that the next call meets the error of this one
        conn.execute("SELECT 2")
        pipeline.sync()
    assert [span.facts.get("sqlstate") for span in spans] == [None, "22012", None]
    assert [span.failure is None for span in spans] == [True, False, False]
    assert tags(spans[2])["error.type"] == "psycopg.errors.PipelineAborted"


def test_in_a_pipeline_a_statement_that_is_not_sent_ends_at_once(conn: Any, spans: Recorded) -> None:
    with conn.pipeline():
        cursor = conn.execute("SELECT 1")
        with pytest.raises(psycopg.ProgrammingError):
            cursor.execute("SELECT %s", (object(),))
        cursor.executemany("SELECT %s", [])
        assert [span.facts["statement"] for span in spans] == ["SELECT %s", "SELECT %s"]
    assert [span.failure is None for span in spans] == [False, True, True]
    assert spans[2].facts["statement"] == "SELECT 1"


def test_a_pipeline_whose_connection_dies_ends_its_spans(postgresql: PostgreSQL, spans: Recorded) -> None:
    conn = psycopg.connect(postgresql.dsn)
    with pytest.raises(psycopg.OperationalError), conn.pipeline():
        cursor = conn.execute("SELECT 1")
        conn.close()
        cursor.execute("SELECT 2")
    assert len(spans) == 2
    assert all(span.failure is not None for span in spans)


def test_awaited_pipelines(postgresql: PostgreSQL, spans: Recorded) -> None:
    async def work(conn: Any) -> None:
        async with conn.pipeline():
            await conn.execute("SELECT 1")
            await conn.execute("SELECT 2")
            assert spans == []

    in_a_loop(postgresql, spans, work)
    assert [span.facts["statement"] for span in spans] == ["SELECT 1", "SELECT 2"]


# -- pools ------------------------------------------------------------------------------------------------------------


def test_a_pools_statements_are_children_of_who_asks(postgresql: PostgreSQL, spans: Recorded) -> None:
    tracer = trace.get_tracer("t")
    with psycopg_pool.ConnectionPool(postgresql.dsn, min_size=1, open=False) as pool:
        with tracer.start_as_current_span("a"), pool.connection() as conn:
            conn.execute("SELECT 1")
        with tracer.start_as_current_span("b"), pool.connection() as conn:
            conn.execute("SELECT 2")
    first, a, second, b = spans
    assert is_child(first, a) and is_child(second, b)
    assert len(spans) == 4


def test_a_pools_threads_do_not_work_for_who_opened_it(postgresql: PostgreSQL, spans: Recorded) -> None:
    pool = psycopg_pool.ConnectionPool(
        postgresql.dsn,
        min_size=0,
        max_size=1,
        open=False,
        configure=lambda conn: conn.execute("SELECT 1") and conn.commit(),
    )
    with trace.get_tracer("t").start_as_current_span("opening"):
        pool.open()
    with pool.connection():
        pass
    pool.close()
    _, configure = spans
    assert configure.facts["statement"] == "SELECT 1" and configure.parent_id == 0


def test_an_awaited_pool(postgresql: PostgreSQL, spans: Recorded) -> None:
    async def main() -> None:
        async with psycopg_pool.AsyncConnectionPool(postgresql.dsn, min_size=1, open=False) as pool:
            with trace.get_tracer("t").start_as_current_span("a"):
                async with pool.connection() as conn:
                    await conn.execute("SELECT 1")

    asyncio.run(main())
    statement, a = spans
    assert is_child(statement, a)


# -- our failures, and what is not psycopg ----------------------------------------------------------------------------


def test_our_failure_in_a_stream_a_copy_or_a_pipeline_changes_nothing(
    conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "failures", {})
    for name in ("start_span", "end_statement"):
        monkeypatch.setattr(streaming, name, lambda *args: None)
    monkeypatch.setattr(patch, "end_statement", lambda *args: 1 / 0)
    cursor = conn.cursor()
    assert list(cursor.stream("SELECT 1")) == [(1,)]
    with cursor.copy("COPY orders FROM STDIN") as copy:
        copy.write_row((1, "x"))
    with conn.pipeline():
        cursor = conn.execute("SELECT 2")
    assert cursor.fetchall() == [(2,)]
    assert set(containment.failures) == {"psycopg.pipeline"}
    containment.failures.clear()


def test_what_is_replaced_shows_itself_as_before() -> None:
    for kind in (psycopg.AsyncCursor, psycopg.AsyncServerCursor):
        assert inspect.iscoroutinefunction(kind.execute)
    assert inspect.iscoroutinefunction(psycopg.AsyncConnection.connect)
    assert psycopg.connect == psycopg.Connection.connect
    assert "query" in inspect.signature(psycopg.Cursor.execute).parameters
    assert "conninfo" in inspect.signature(psycopg.connect).parameters


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(psycopg, plan)
    assert plan._steps == []


@pytest.mark.parametrize(
    "lacking",
    ["Cursor", "AsyncCursor", "ServerCursor", "AsyncServerCursor", "Pipeline", "Connection", "AsyncConnection"],
)
def test_a_module_that_lacks_something_is_refused_whole(lacking: str) -> None:
    module: Any = types.ModuleType("psycopg")
    vars(module).update({name: value for name, value in vars(psycopg).items() if name != lacking})
    before, plan = dict(vars(module)), Plan()
    with pytest.raises(Unpatchable, match=lacking):
        patch.driver(module, plan)
    assert vars(module) == before and plan._undo == []


def test_the_registry_says_on() -> None:
    assert registry.states["psycopg", "psycopg"] == registry.ON


def test_switched_off_it_stays_the_drivers() -> None:
    program = (
        "import psycopg; print(hasattr(psycopg.Cursor.execute, '__wrapped__'), hasattr(psycopg.connect, '__wrapped__'))"
    )
    assert on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="psycopg").stdout == "False False\n"
    assert on_path(*python(program)).stdout == "True True\n"
