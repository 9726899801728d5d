"""aiosqlite under the agent: one span a statement, sqlite3's, as a child of the span of the task that waits for it."""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Callable
from typing import Any

import aiosqlite
import pytest
from opentelemetry import trace

from autotrace import containment, registry
from autotrace.patches import aiosqlite as patch
from autotrace.patching import Plan, Unpatchable
from autotrace.tracing import run_in_context
from tests.programs import on_path, python
from tests.recorded import Recorded, is_child, nothing_current, tags


def run(spans: Recorded, work: Callable[[Any], Any]) -> Any:
    async def main() -> Any:
        async with aiosqlite.connect(":memory:") as db:
            await db.execute("CREATE TABLE orders (id integer PRIMARY KEY, what text)")
            spans.clear()
            result = await work(db)
            assert nothing_current()
            return result

    return asyncio.run(main())


def test_each_way_of_running_sql_makes_the_spans_of_its_statements(spans: Recorded) -> None:
    async def work(db: Any) -> None:
        await db.execute("INSERT INTO orders VALUES (1, ?)", ("secret",))
        await db.executemany("INSERT INTO orders VALUES (?, ?)", [(2, "b"), (3, "c")])
        await db.executescript("UPDATE orders SET what = 'secret'")
        async with db.execute("SELECT id FROM orders") as cursor:
            assert [row async for row in cursor] == [(1,), (2,), (3,)]
        cursor = await db.cursor()
        await cursor.execute("SELECT 1")
        assert await cursor.fetchone() == (1,)
        assert list(await db.execute_fetchall("SELECT 2")) == [(2,)]
        assert await db.execute_insert("INSERT INTO orders VALUES (4, 'd')") == (
            4,
        )  # two statements, aiosqlite's own way
        await db.commit()

    run(spans, work)
    assert [span.name for span in spans] == [
        "INSERT orders",
        "INSERT orders",
        "UPDATE orders",
        "SELECT orders",
        "SELECT",
        "SELECT",
        "INSERT orders",
        "SELECT",
    ]
    assert tags(spans[1])["db.operation.batch.size"] == 2
    assert {tags(span)["component"] for span in spans} == {"sqlite3"}
    assert "secret" not in repr([tags(span) for span in spans])


def test_each_task_has_its_own_though_they_share_the_thread(spans: Recorded) -> None:
    async def work(db: Any) -> None:
        async def task(name: str) -> None:
            with trace.get_tracer("t").start_as_current_span(name) as mine:
                for n in range(5):
                    await db.execute(f"SELECT {n}")
                    assert trace.get_current_span() is mine

        await asyncio.gather(*(task(name) for name in "abc"))

    run(spans, work)
    outer = [span for span in spans if span.given_name]
    assert len(outer) == 3 and len(spans) == 18
    for span in outer:
        assert len([other for other in spans if is_child(other, span)]) == 5


def test_a_statement_of_nobody_is_no_child_of_who_opened_the_connection(spans: Recorded) -> None:
    async def main() -> None:
        with trace.get_tracer("t").start_as_current_span("opening"):
            db = await aiosqlite.connect(":memory:")
        await db.execute("SELECT 1")
        await db.close()

    asyncio.run(main())
    opening, statement = spans
    assert statement.parent_id == 0 and statement.trace_id != opening.trace_id


def test_a_connect_that_fails_is_a_child_of_the_tasks_span(spans: Recorded) -> None:
    async def main() -> None:
        db = aiosqlite.connect("/no/such/folder/x.db")
        with trace.get_tracer("t").start_as_current_span("work"), pytest.raises(aiosqlite.OperationalError):
            await db
        thread: Any = getattr(db, "_thread", db)
        await asyncio.to_thread(thread.join)  # it has a last word for the loop

    asyncio.run(main())
    connect, work = spans
    assert connect.name == "connect" and is_child(connect, work)


def test_an_error_passes_untouched_and_is_recorded(spans: Recorded) -> None:
    async def work(db: Any) -> None:
        with pytest.raises(aiosqlite.OperationalError) as caught:
            await db.execute("SELECT nothing FROM nowhere")
        assert spans.one().failure is not None
        assert spans.one().failure.message == str(caught.value)

    run(spans, work)


def test_a_cancelled_tasks_statement_runs_on_and_so_does_its_span(spans: Recorded) -> None:
    async def work(db: Any) -> None:
        count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT max(i) FROM n"
        with trace.get_tracer("t").start_as_current_span("work"):
            task = asyncio.ensure_future(db.execute_fetchall(count))
            await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await db.execute("SELECT 2")

    run(spans, work)
    work_, first, second = sorted(spans, key=lambda span: span.start_time)
    assert is_child(first, work_) and first.failure is None
    assert second.parent_id == 0


def test_own_functions_of_the_programs_find_the_tasks_span(spans: Recorded) -> None:
    async def work(db: Any) -> Any:
        await db.create_function("mine", 0, lambda: trace.get_tracer("t").start_span("inner").end())
        with trace.get_tracer("t").start_as_current_span("work"):
            await db.execute_fetchall("SELECT mine()")

    run(spans, work)
    inner, statement, outer = spans
    assert is_child(inner, statement) and is_child(statement, outer)


def test_our_failure_leaves_the_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "failures", {})
    monkeypatch.setattr(run_in_context, "capture_context", lambda: 1 / 0)

    async def main() -> Any:
        async with aiosqlite.connect(":memory:") as db:
            return list(await db.execute_fetchall("SELECT 1"))

    assert asyncio.run(main()) == [(1,)]
    assert "aiosqlite._execute" in containment.failures
    containment.failures.clear()


def test_what_is_replaced_shows_itself_as_before() -> None:
    assert inspect.iscoroutinefunction(aiosqlite.Connection._execute)


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.thread(aiosqlite.core, plan)
    assert plan._steps == []


@pytest.mark.parametrize("lacking", ["Connection", "_execute", "fn"])
def test_a_module_that_lacks_something_is_refused_whole(lacking: str) -> None:
    module: Any = types.ModuleType("aiosqlite.core")
    if lacking != "Connection":
        module.Connection = type("Connection", (), {} if lacking == "_execute" else {"_execute": lambda self: None})
    before = dict(vars(module))
    with pytest.raises(Unpatchable, match=lacking):
        patch.thread(module, Plan())
    assert vars(module) == before


def test_the_registry_says_on() -> None:
    assert registry.states["aiosqlite", "aiosqlite.core"] == registry.ON


def test_switched_off_it_stays_the_drivers() -> None:
    program = "import aiosqlite; print(hasattr(aiosqlite.Connection._execute, '__wrapped__'))"
    assert on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="aiosqlite").stdout == "False\n"
    assert on_path(*python(program)).stdout == "True\n"
