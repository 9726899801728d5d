"""asyncpg under the agent, on a real PostgreSQL: ways to run SQL, pools, transactions, cursors, COPY; tasks; peers."""

from __future__ import annotations

import asyncio
import inspect
import io
import types
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import asyncpg
import pytest
from opentelemetry import trace

from autotrace import containment, registry
from autotrace.patches import asyncpg as patch
from autotrace.patching import Plan, Unpatchable
from autotrace.settings import in_force
from test_services.postgresql import PostgreSQL
from tests.contracts.awaited_database import AwaitedDatabaseContract, InALoop
from tests.contracts.database import DatabaseContract
from tests.patches.test_psycopg import PEER, shared_of
from tests.programs import on_path, python
from tests.recorded import Recorded, is_child, nothing_current, tags


class Cursor:
    """As much of PEP 249 as the contract asks for, on a connection of asyncpg's."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.rows: list[Any] = []
        self.rowcount = -1

    def execute(self, statement: str, parameters: Any = ()) -> None:
        self.link.begin()
        for n in range(len(parameters)):
            statement = statement.replace("$N", f"${n + 1}", 1)
        if statement.startswith("SELECT"):
            self.rows = [tuple(row) for row in self.link.run(self.link.real.fetch(statement, *parameters))]
        else:
            count = self.link.run(self.link.real.execute(statement, *parameters)).split()[-1]
            self.rowcount = int(count) if count.isdigit() else -1

    def executemany(self, statement: str, sets: Any) -> None:
        statement = statement.replace("$N", "$1", 1).replace("$N", "$2", 1)
        self.link.run(self.link.real.executemany(statement, sets))

    def fetchall(self) -> list[Any]:
        return self.rows

    def fetchmany(self, size: int) -> list[Any]:
        return self.rows[:size]

    def fetchone(self) -> Any:
        return self.rows[0]

    def close(self) -> None:
        pass


class Link:
    def __init__(self, run: Callable[[Any], Any], real: Any) -> None:
        self.run = run
        self.real = self._real = real
        self.transaction: Any = None

    def cursor(self) -> Cursor:
        return Cursor(self)

    def begin(self) -> None:
        if self.transaction is None:
            self.transaction = self.real.transaction()
            self.run(self.transaction.start())

    def commit(self) -> None:
        self.end("commit")

    def rollback(self) -> None:
        self.end("rollback")

    def end(self, how: str) -> None:
        if self.transaction is not None:
            transaction, self.transaction = self.transaction, None
            self.run(getattr(transaction, how)())

    def close(self) -> None:
        self.run(self.real.close())


class TestAsyncpg(InALoop, DatabaseContract):
    component = "asyncpg"
    system = "postgresql"
    unknown_table = "42P01"
    mark = "$N"

    @pytest.fixture(autouse=True)
    def server(self, postgresql: PostgreSQL) -> None:
        self.url = postgresql.url
        self.shared = {key: value for key, value in shared_of(postgresql).items() if not key.startswith("network.")}

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(coroutine)

    def connect(self) -> Any:
        return Link(self.wait, self.wait(asyncpg.connect(self.url)))

    def connect_badly(self) -> Any:
        return self.wait(asyncpg.connect(host="127.0.0.1", port=1, user="app", timeout=2))

    async def failing(self, connection: Any) -> None:
        await connection.execute("SELECT nothing FROM nowhere")


class TestTasks(AwaitedDatabaseContract):
    async def open(self, server: PostgreSQL) -> Any:
        return await asyncpg.connect(server.url)

    async def run(self, connection: Any, statement: str) -> Any:
        return await connection.fetch(statement)

    async def connect_badly(self) -> Any:
        return await asyncpg.connect(host="127.0.0.1", port=1, user="app", timeout=2)


Run = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture
def run(postgresql: PostgreSQL, spans: Recorded) -> Iterator[Run]:
    """run(work): work(connection), with a table `orders` of no rows, in a loop."""

    def running(work: Callable[[Any], Any]) -> Any:
        async def main() -> Any:
            connection = await asyncpg.connect(postgresql.url)
            await connection.execute("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
            spans.clear()
            try:
                result = await work(connection)
                assert nothing_current()
                return result
            finally:
                await connection.close()

        return asyncio.run(main())

    yield running


# -- each way of running SQL ------------------------------------------------------------------------------------------


def names(spans: Recorded) -> list[tuple[str, Any]]:
    return [(span.name, tags(span).get("db.rows_affected")) for span in spans]


def test_each_method_is_one_span_with_its_rows(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        assert await connection.execute("INSERT INTO orders VALUES (1, 'a'), (2, 'b')") == "INSERT 0 2"
        assert await connection.execute("UPDATE orders SET what = $1", "secret") == "UPDATE 2"
        assert len(await connection.fetch("SELECT * FROM orders")) == 2
        assert await connection.fetchval("SELECT count(*) FROM orders") == 2
        assert (await connection.fetchrow("SELECT * FROM orders WHERE id = $1", 1))["id"] == 1
        await connection.executemany("INSERT INTO orders VALUES ($1, $2)", [(3, "c"), (4, "d")])

    run(work)
    assert names(spans) == [
        ("INSERT orders", 2),
        ("UPDATE orders", 2),
        ("SELECT orders", 2),
        ("SELECT orders", None),
        ("SELECT orders", None),
        ("INSERT orders", None),
    ]
    assert tags(spans[-1])["db.operation.batch.size"] == 2
    assert "secret" not in repr([tags(span) for span in spans])


@pytest.mark.skipif(not hasattr(asyncpg.Connection, "fetchmany"), reason="asyncpg before 0.30 has none")
def test_fetchmany_is_one_span(run: Run, spans: Recorded) -> None:
    run(lambda c: c.fetchmany("INSERT INTO orders VALUES ($1, $2) RETURNING id", [(1, "a"), (2, "b")]))
    assert names(spans) == [("INSERT orders", 2)]
    assert tags(spans.one())["db.operation.batch.size"] == 2


def test_a_statement_that_is_refused_when_prepared_is_a_failed_span(run: Run, spans: Recorded) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        run(lambda c: c.prepare("SELECT * FROM nowhere"))
    found = tags(spans.one())
    assert (spans.one().name, found["db.response.status_code"]) == ("SELECT nowhere", "42P01")
    assert spans.one().start_time < spans.one().end_time


def test_each_run_of_a_prepared_statement_is_one_span(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        statement = await connection.prepare("SELECT $1::int AS a")
        assert spans == []
        assert await statement.fetchval(1) == 1
        assert (await statement.fetchrow(2))["a"] == 2
        assert len(await statement.fetch(3)) == 1
        assert isinstance(await statement.explain(4), list)
        insert = await connection.prepare("INSERT INTO orders VALUES ($1, $2)")
        await insert.executemany([(3, "c"), (4, "d")])

    run(work)
    assert names(spans) == [
        ("SELECT", None),
        ("SELECT", None),
        ("SELECT", 1),
        ("EXPLAIN", None),
        ("INSERT orders", None),
    ]
    assert tags(spans[0])["db.statement"] == "SELECT $1::int AS a"
    assert tags(spans[-1])["db.operation.batch.size"] == 2


def test_what_outlives_its_connection_is_refused_at_the_call(postgresql: PostgreSQL, spans: Recorded) -> None:
    """Not when the call is awaited: asyncpg's own tests ask for it."""

    async def story() -> None:
        async with asyncpg.create_pool(postgresql.url, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection:
                statement, transaction = await connection.prepare("SELECT 1"), connection.transaction()
            with pytest.raises(asyncpg.InterfaceError, match=r"cannot call Transaction\.start\(\).*released"):
                transaction.start()
            for name in ("fetch", "fetchval", "fetchrow"):
                with pytest.raises(
                    asyncpg.InterfaceError, match=rf"cannot call PreparedStatement\.{name}\(\).*released"
                ):
                    getattr(statement, name)()

    asyncio.run(story())
    assert len(spans) == 0


@pytest.mark.parametrize(("status", "rows"), [("INSERT 0 2", 2), ("CREATE TABLE", None), (None, None)])
def test_rows_are_read_of_the_status_where_there_is_one(status: str | None, rows: int | None) -> None:
    """None is seen in asyncpg's own tests."""
    assert patch._status(None, status) == rows


def test_a_cursor_is_one_span_whatever_it_fetches(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        async with connection.transaction():
            rows = [row["n"] async for row in connection.cursor("SELECT generate_series(1, 120) AS n")]
            assert len(rows) == 120
            cursor = await connection.cursor("SELECT generate_series(1, 9) AS n")
            assert [len(await cursor.fetch(5)), await cursor.forward(2), len(await cursor.fetch(9))] == [5, 2, 2]
            statement = await connection.prepare("SELECT generate_series(1, $1)")
            assert len([row async for row in statement.cursor(60)]) == 60
            assert [row async for row in connection.cursor("SELECT 1 WHERE false")] == []

    run(work)
    assert [span.name for span in spans] == ["SELECT"] * 4


def test_a_cursor_that_fails_says_so(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        async with connection.transaction():
            with pytest.raises(asyncpg.UndefinedTableError):
                async for _ in connection.cursor("SELECT * FROM nowhere"):
                    pass

    run(work)
    assert tags(spans.one())["db.sqlstate"] == "42P01"


def test_copy_names_the_table_and_counts_the_rows(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        await connection.copy_records_to_table("orders", records=[(1, "a"), (2, "b")])
        await connection.copy_to_table("orders", source=io.BytesIO(b"3\tc\n"), schema_name="pg_temp")
        await connection.copy_from_table("orders", output=io.BytesIO())
        await connection.copy_from_query("SELECT * FROM orders WHERE what = $1", "a", output=io.BytesIO())

    run(work)
    assert [(tags(span)["db.statement"], tags(span)["db.rows_affected"]) for span in spans] == [
        ("COPY orders FROM STDIN", 2),
        ("COPY pg_temp.orders FROM STDIN", 1),
        ("COPY orders TO STDOUT", 3),
        ("COPY (SELECT * FROM orders WHERE what = $1) TO STDOUT", 1),
    ]


def test_what_a_source_of_records_does_is_a_child_of_the_copy(run: Run, spans: Recorded) -> None:
    async def records() -> Any:
        with trace.get_tracer("t").start_as_current_span("reading"):
            pass
        yield (1, "a")

    run(lambda connection: connection.copy_records_to_table("orders", records=records()))
    reading, copy = spans
    assert is_child(reading, copy)


def test_a_name_that_needs_quotes_has_them() -> None:
    assert patch._table("TO STDOUT")(('my "own" table',), {}) == {"statement": 'COPY "my ""own"" table" TO STDOUT'}


# -- what asyncpg sends on its own ------------------------------------------------------------------------------------


def test_a_transaction_of_its_own_makes_no_span(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        async with connection.transaction(), connection.transaction():
            await connection.execute("SELECT 1")
        transaction = connection.transaction()
        await transaction.start()
        await transaction.rollback()
        await connection.execute("BEGIN")  # the program's own words
        await connection.execute("COMMIT")

    run(work)
    assert [span.facts["statement"] for span in spans] == ["SELECT 1", "BEGIN", "COMMIT"]


def test_a_pools_statements_are_children_of_who_asks_and_its_reset_makes_none(
    postgresql: PostgreSQL, spans: Recorded
) -> None:
    async def main() -> None:
        tracer = trace.get_tracer("t")
        async with asyncpg.create_pool(postgresql.url, min_size=1, max_size=2) as pool:
            for name in "ab":
                with tracer.start_as_current_span(name):
                    async with pool.acquire() as connection:
                        await connection.fetch("SELECT 1")
            assert await pool.fetchval("SELECT 2") == 2

    asyncio.run(main())
    first, a, second, b, third = spans
    assert is_child(first, a) and is_child(second, b)
    assert third.parent_id == 0


def test_own_connection_classes_work_and_are_one_span(postgresql: PostgreSQL, spans: Recorded) -> None:
    class Own(asyncpg.Connection):
        async def fetch(self, *args: Any, **kwargs: Any) -> Any:
            return await super().fetch(*args, **kwargs)

    async def main() -> None:
        connection = await asyncpg.connect(postgresql.url, connection_class=Own)
        assert type(connection) is Own
        await connection.fetch("SELECT 1")
        await connection.close()

    asyncio.run(main())
    assert len(spans) == 1


# -- the other side ---------------------------------------------------------------------------------------------------


class TestWhoIsCalled:
    def peer(self, spans: Recorded, *args: Any, **kwargs: Any) -> list[Any]:
        async def main() -> None:
            connection = await asyncpg.connect(*args, **kwargs)
            await connection.execute("SELECT 1")
            await connection.close()

        asyncio.run(main())
        return [tags(spans.one()).get(key) for key in PEER]

    def expected(self, host: str, port: int) -> list[Any]:
        return [host, host, f"{host}:{port}", port, host, port]

    def test_of_keywords_the_name_stays_a_name(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        port = postgresql.port
        found = self.peer(spans, host="localhost", port=port, user="app", database="app")
        assert found == self.expected("localhost", port)

    def test_of_the_environment(self, postgresql: PostgreSQL, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGHOST", "localhost")
        monkeypatch.setenv("PGPORT", str(postgresql.port))
        assert self.peer(spans, user="app", database="app") == self.expected("localhost", postgresql.port)

    def test_of_several_hosts_the_one_that_answered(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        url = f"postgresql://app@127.0.0.1:1,localhost:{postgresql.port}/app"
        assert self.peer(spans, url) == self.expected("localhost", postgresql.port)

    def test_of_a_unix_socket_nobody(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        found = self.peer(spans, host=postgresql.socket_folder, port=postgresql.port, user="app", database="app")
        assert found == [None] * 6
        assert tags(spans[0])["db.instance"] == "app"

    def test_of_a_connect_that_fails(self, spans: Recorded) -> None:
        with pytest.raises(OSError):
            self.peer(spans, "postgresql://app@127.0.0.1:1/shop")
        found = tags(spans.one())
        assert [found.get(key) for key in PEER] == self.expected("127.0.0.1", 1)
        assert (found["db.instance"], found["db.user"]) == ("shop", "app")

    def test_of_an_unknown_database_with_its_sqlstate(self, postgresql: PostgreSQL, spans: Recorded) -> None:
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            self.peer(spans, postgresql.url[:-3] + "nowhere")
        assert tags(spans.one())["db.sqlstate"] == "3D000"

    def test_of_a_connect_that_takes_too_long(self, spans: Recorded) -> None:
        async def main() -> None:
            kept: list[Any] = []  # else they are closed
            silent = await asyncio.start_server(lambda reader, writer: kept.append(writer), "127.0.0.1", 0)
            port = silent.sockets[0].getsockname()[1]
            with pytest.raises(asyncio.TimeoutError):
                await asyncpg.connect(host="127.0.0.1", port=port, user="app", timeout=0.1)
            for writer in kept:
                writer.close()
            silent.close()

        asyncio.run(main())
        assert tags(spans.one())["peer.hostname"] == "127.0.0.1"
        assert tags(spans.one())["error.type"].endswith("TimeoutError")

    def test_of_a_bad_dsn_nobody(self, spans: Recorded) -> None:
        with pytest.raises(ValueError):
            self.peer(spans, "nonsense")
        assert [tags(spans.one()).get(key) for key in PEER] == [None] * 6


# -- our failures, and what is not asyncpg ----------------------------------------------------------------------------


def test_our_failure_to_see_who_is_called_leaves_the_connect(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "failures", {})
    monkeypatch.setattr(patch, "_of", lambda address, params: 1 / 0)
    monkeypatch.setattr(in_force(), "trace_connects", True)

    async def main() -> None:
        connection = await asyncpg.connect(postgresql.url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    asyncio.run(main())
    assert set(containment.failures) == {"asyncpg.connect", "asyncpg.fetchval"}
    containment.failures.clear()


def test_what_is_replaced_shows_itself_as_before() -> None:
    for name in ("execute", "fetch", "executemany", "copy_to_table"):
        assert inspect.iscoroutinefunction(getattr(asyncpg.Connection, name))
    assert inspect.iscoroutinefunction(asyncpg.connect)
    assert asyncpg.connect is asyncpg.connection.connect
    assert list(inspect.signature(asyncpg.Connection.fetch).parameters)[:3] == ["self", "query", "args"]


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(asyncpg, plan)
    assert plan._steps == []


@pytest.mark.parametrize("lacking", ["connection", "prepared_stmt", "cursor", "transaction", "connect_utils"])
def test_a_module_that_lacks_something_is_refused_whole(lacking: str) -> None:
    from tests.patches.unpatched import copy_of

    module: Any = types.ModuleType("asyncpg")
    vars(module).update({name: value for name, value in vars(asyncpg).items() if name != lacking})
    if lacking == "connect_utils":
        module.connection = copy_of(asyncpg.connection)
    before, plan = dict(vars(module)), Plan()
    with pytest.raises(Unpatchable, match=lacking):
        patch.driver(module, plan)
    assert vars(module) == before and plan._undo == []


def test_the_registry_says_on() -> None:
    assert registry.states["asyncpg", "asyncpg"] == registry.ON


def test_switched_off_it_stays_the_drivers() -> None:
    program = "import asyncpg; print(*[hasattr(f, '__wrapped__') for f in (asyncpg.Connection.fetch, asyncpg.connect)])"
    assert on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="asyncpg").stdout == "False False\n"
    assert on_path(*python(program)).stdout == "True True\n"
