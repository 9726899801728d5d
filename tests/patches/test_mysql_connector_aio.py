"""mysql.connector.aio under the agent, on a real MariaDB: the contracts, prepared cursors, pools; tasks."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import mysql.connector.aio
import pytest
from mysql.connector.aio import connection as driver_connection
from opentelemetry import trace

from autotrace import registry
from autotrace.patches import mysql_connector as patch
from autotrace.patching import Plan
from test_services.mariadb import MariaDB
from tests.contracts.awaited_database import InALoop
from tests.contracts.mysql import MySQLContract
from tests.programs import on_path, python
from tests.recorded import Recorded, is_child, nothing_current, tags


class Connect:
    """The module as the contract calls it: connect() has connected when it returns, and so on."""

    Error = (mysql.connector.Error, OSError)  # nobody listens: the loop's own error

    def __init__(self, awaiting: Callable[[Any], Any]) -> None:
        self.awaiting = awaiting

    def connect(self, **given: Any) -> Any:
        return self.awaiting(mysql.connector.aio.connect(**given))


class TestAio(InALoop, MySQLContract):
    component = "mysql.connector"
    unknown_table = "42S02"
    chained = True
    options = {"consume_results": True, "ssl_disabled": True}

    @pytest.fixture(autouse=True)
    def module(self, loop: None) -> None:
        self.driver = Connect(self.awaiting)

    def test_a_class_of_the_programs_own_is_one_span(self, connection: Any, spans: Recorded) -> None:
        class Own(mysql.connector.aio.cursor.MySQLCursor):
            async def execute(self, *args: Any, **kwargs: Any) -> Any:
                return await super().execute(*args, **kwargs)

        self.awaiting(Own(connection._real).execute("DO 1"))
        assert len(spans) == 1

    async def failing(self, connection: Any) -> None:
        await (await connection.cursor()).execute("SELECT nothing FROM nowhere")


Run = Callable[[Callable[[Any], Any]], Any]


def to(mariadb: MariaDB, **other: Any) -> dict[str, Any]:
    return {
        "host": mariadb.host,
        "port": mariadb.port,
        "user": "app",
        "password": "pw",
        "database": "app",
        "ssl_disabled": True,
        **other,
    }


@pytest.fixture
def run(mariadb: MariaDB, spans: Recorded) -> Iterator[Run]:
    """run(work): work(connection), with a table `orders` of two rows, in a loop."""

    def running(work: Callable[[Any], Any], **options: Any) -> Any:
        async def main() -> Any:
            async with await mysql.connector.aio.connect(**to(mariadb, **options)) as connection:
                cursor = await connection.cursor()
                await cursor.execute("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
                await cursor.execute("INSERT INTO orders VALUES (1, 'tea'), (2, 'milk')")
                spans.clear()
                result = await work(connection)
                assert nothing_current()
                return result

        return asyncio.run(main())

    yield running


def test_a_prepared_cursor_is_one_span_a_statement(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        cursor = await connection.cursor(prepared=True)
        for number in (1, 2):
            await cursor.execute("SELECT what FROM orders WHERE id = %s", (number,))
            await cursor.fetchall()
        await cursor.executemany("UPDATE orders SET what = %s WHERE id = %s", [("x", 1), ("y", 2)])

    run(work)
    assert [span.name for span in spans] == ["SELECT orders", "SELECT orders", "UPDATE orders"]
    assert tags(spans[2])["db.operation.batch.size"] == 2


@pytest.mark.parametrize("kind", ["buffered", "dictionary", "raw"])
def test_each_kind_of_cursor_is_one_span(kind: str, run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> int:
        cursor = await connection.cursor(**{kind: True})
        await cursor.execute("SELECT 1 AS a")
        return len(await cursor.fetchall())

    assert run(work) == 1
    assert spans.one().name == "SELECT"


def test_what_the_driver_asks_on_the_way_is_no_statement_of_the_programs(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        cursor = await connection.cursor()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await cursor.execute("DROP TABLE IF EXISTS nowhere")
            await cursor.execute("SELECT CAST('x' AS int)")
            await cursor.fetchall()
        assert len(cursor.warnings) == 1

    run(work, get_warnings=True)
    assert [span.name for span in spans] == ["DROP TABLE nowhere", "SELECT"]


def test_a_pool_hands_out_traced_connections(mariadb: MariaDB, spans: Recorded) -> None:
    async def main() -> None:
        connection = await mysql.connector.aio.connect(**to(mariadb, pool_name="p", pool_size=1))
        cursor = await connection.cursor()
        await cursor.execute("SELECT 1")
        await cursor.fetchall()
        await connection._cnx.close()

    if not hasattr(mysql.connector.aio, "MySQLConnectionPool"):
        return  # older ones have none
    asyncio.run(main())
    assert tags(spans.one())["peer.port"] == mariadb.port


def test_tasks_at_the_same_time_each_have_their_own(mariadb: MariaDB, spans: Recorded) -> None:
    async def work(name: str) -> None:
        async with await mysql.connector.aio.connect(**to(mariadb)) as connection:
            cursor = await connection.cursor()
            with trace.get_tracer("t").start_as_current_span(name) as mine:
                for n in range(5):
                    await cursor.execute(f"SELECT {n}")
                    await cursor.fetchall()
                    assert trace.get_current_span() is mine

    async def main() -> None:
        await asyncio.gather(*(work(name) for name in "abc"))
        assert nothing_current()

    asyncio.run(main())
    outer = [span for span in spans if span.given_name]
    assert len(outer) == 3 and len(spans) == 18
    for span in outer:
        assert len([other for other in spans if is_child(other, span)]) == 5


def test_while_one_task_waits_another_sees_nothing(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        cursor = await connection.cursor()
        waiting = asyncio.ensure_future(cursor.execute("SELECT sleep(0.1)"))
        await asyncio.sleep(0.03)
        assert not waiting.done() and nothing_current()
        await waiting
        await cursor.fetchall()

    run(work)
    assert len(spans) == 1


def test_a_cancelled_task_ends_its_span_with_the_error(mariadb: MariaDB, spans: Recorded) -> None:
    async def main() -> None:
        connection = await mysql.connector.aio.connect(**to(mariadb))
        cursor = await connection.cursor()
        task = asyncio.ensure_future(cursor.execute("SELECT sleep(30)"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert nothing_current()
        await connection._socket.close_connection()

    asyncio.run(main())
    assert tags(spans.one())["error.type"].endswith("CancelledError")


def test_a_coroutine_never_awaited_makes_no_span(run: Run, spans: Recorded) -> None:
    async def work(connection: Any) -> None:
        (await connection.cursor()).execute("SELECT 1").close()

    run(work)
    assert spans == []


def test_a_failed_connect_is_a_child_of_the_tasks_span(mariadb: MariaDB, spans: Recorded) -> None:
    async def main() -> None:
        with trace.get_tracer("t").start_as_current_span("work") as work:
            with pytest.raises(OSError):
                await mysql.connector.aio.connect(**to(mariadb, port=1))
            assert trace.get_current_span() is work

    asyncio.run(main())
    connect, work = spans
    assert connect.name == "connect" and is_child(connect, work)


def test_what_is_replaced_is_still_a_coroutine_function() -> None:
    kind = mysql.connector.aio.cursor.MySQLCursor
    assert all(inspect.iscoroutinefunction(getattr(kind, name)) for name in ("execute", "executemany", "callproc"))
    assert inspect.iscoroutinefunction(driver_connection.MySQLConnection.connect)


PROGRAM = """
import asyncio, sys, mysql.connector.aio as aio, opentelemetry.trace
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
to = dict(host="127.0.0.1", user="app", password="pw", database="app", ssl_disabled=True)
async def main():
    async with await aio.connect(**to, port=int(sys.argv[1])) as conn:
        cur = await conn.cursor(); await cur.execute("DO 1"); await conn.commit(); await conn.rollback()
    try: await aio.connect(**to, port=1)
    except OSError: pass
asyncio.run(main())
for span in spans: print(span.name, *(["error"] if span.failure else []), span.shared.facts["remote"][0])
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "DO, connect error"),
        ({"AUTOTRACE_TRACE_CONNECTS": "true"}, "connect, DO, connect error"),
        ({"AUTOTRACE_TRACE_TRANSACTIONS": "true"}, "DO, commit, rollback, connect error"),
        ({"AUTOTRACE_SQL_COMMENTS": "full"}, "DO, connect error"),
    ],
    ids=["off", "connects", "transactions", "comments"],
)
def test_connects_and_the_ends_of_transactions_have_spans_if_asked_for(
    settings: dict[str, str], expected: str, mariadb: MariaDB
) -> None:
    done = on_path(*python(PROGRAM), str(mariadb.port), **settings)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"{span} 127.0.0.1" for span in expected.split(", ")]


COMMENTED = """
import asyncio, sys, mysql.connector.aio as aio
async def main():
    to = dict(host="127.0.0.1", port=int(sys.argv[1]), user="app", password="pw", database="app", ssl_disabled=True)
    async with await aio.connect(**to) as conn:
        cur = await conn.cursor()
        await cur.execute("SELECT info FROM information_schema.processlist WHERE id = connection_id()")
        print(await cur.fetchall())
asyncio.run(main())
"""


def test_a_statement_gets_its_comment_if_asked_for(mariadb: MariaDB) -> None:
    done = on_path(*python(COMMENTED), str(mariadb.port), AUTOTRACE_SQL_COMMENTS="full")
    assert done.stderr == ""
    assert "db_driver=" in done.stdout and "traceparent=" in done.stdout


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.asynchronous(mysql.connector.aio, plan)
    assert plan._steps == []
    assert registry.states["mysql.connector", "mysql.connector.aio"] == registry.ON
