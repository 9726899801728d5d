"""The promises of every DB-API driver under the agent. A driver's test class inherits them and says how to connect."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind

from autotrace import containment
from autotrace.databases import connects, driver, traced_methods
from autotrace.tracing import current, new_span, tracer
from autotrace.tracing.span import Span
from tests.recorded import Recorded, is_child, record, tags


class DatabaseContract:
    """Fill in: the names, connect(), connect_badly(), and `shared`: the connection's tags, with those of its peer."""

    component = ""
    system = ""
    mark = "%s"
    """How a statement holds the place of a parameter."""
    unknown_table: str | None = None
    """The SQLSTATE of an unknown table, where the driver tells one."""
    unknown_errno: int | None = None
    """The server's own number for it, where the driver tells one."""
    chained = False
    """Whether the driver raises its errors while it handles others."""
    tells_rows = True
    """Does the driver tell how many rows a statement affected?"""
    shared: dict[str, Any] = {}
    """Tags that every span of the connection has."""

    def connect(self) -> Any:
        raise NotImplementedError

    def connect_badly(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def connection(self) -> Iterator[Any]:
        """With a table `orders` (id primary key, what) of two rows."""
        connection = self.connect()
        cursor = connection.cursor()
        cursor.execute("CREATE TEMPORARY TABLE orders (id integer PRIMARY KEY, what text)")
        cursor.execute("INSERT INTO orders VALUES (1, 'tea'), (2, 'milk')")
        connection.commit()
        yield connection
        connection.close()

    @pytest.fixture
    def spans(self, connection: Any, spans: Recorded) -> Recorded:
        spans.clear()
        return spans

    # -- what a span says

    def test_a_statement_is_one_client_span_with_both_conventions(self, connection: Any, spans: Recorded) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT what FROM orders WHERE id = 1")
        assert [tuple(row) for row in cursor.fetchall()] == [("tea",)]
        span = spans.one()
        assert (span.kind, span.name) == (SpanKind.CLIENT, "SELECT orders")
        found = tags(span)
        for key, value in {
            "component": self.component,
            "db.type": "sql",
            "db.system.name": self.system,
            "db.statement": "SELECT what FROM orders WHERE id = ?",
            "db.query.text": "SELECT what FROM orders WHERE id = ?",
            "db.query.summary": "SELECT orders",
            "db.operation.name": "SELECT",
            "db.collection.name": "orders",
            **self.shared,
        }.items():
            assert found.get(key) == value, key
        assert span.end_time and span.end_time >= span.start_time

    def test_the_other_side_is_named_exactly_if_there_is_one(self, connection: Any, spans: Recorded) -> None:
        connection.cursor().execute("SELECT 1")
        told = {k for k in tags(spans.one()) if k.startswith(("peer.", "server.", "network.", "http."))}
        assert told == {k for k in self.shared if k.startswith(("peer.", "server.", "network."))}

    def test_parameters_are_not_recorded(self, connection: Any, spans: Recorded) -> None:
        connection.cursor().execute(f"SELECT what FROM orders WHERE what = {self.mark}", ("secret",))
        span = spans.one()
        assert "secret" not in repr((span.facts, tags(span)))

    def test_rows_affected_are_told(self, connection: Any, spans: Recorded) -> None:
        connection.cursor().execute("UPDATE orders SET what = 'x'")
        assert tags(spans.one()).get("db.rows_affected") == (2 if self.tells_rows else None)

    def test_many_sets_of_parameters_are_one_span_with_their_number(self, connection: Any, spans: Recorded) -> None:
        insert = f"INSERT INTO orders VALUES ({self.mark}, {self.mark})"
        connection.cursor().executemany(insert, [(n, "x") for n in range(10, 15)])
        assert tags(spans.one())["db.operation.batch.size"] == 5

    def test_a_generator_of_parameters_is_left_whole(self, connection: Any, spans: Recorded) -> None:
        cursor = connection.cursor()
        insert = f"INSERT INTO orders VALUES ({self.mark}, {self.mark})"
        cursor.executemany(insert, ((n, "x") for n in range(10, 15)))
        assert "db.operation.batch.size" not in tags(spans.one())
        cursor.execute("SELECT count(*) FROM orders")
        assert tuple(cursor.fetchone()) == (7,)

    def test_fetches_commits_and_rollbacks_make_no_span(self, connection: Any, spans: Recorded) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT id FROM orders")
        cursor.fetchone(), cursor.fetchmany(1), cursor.fetchall()
        connection.commit(), connection.rollback(), cursor.close()
        assert len(spans) == 1

    def test_a_statement_of_megabytes_does_not_wait_whole_for_its_export(
        self, connection: Any, spans: Recorded
    ) -> None:
        connection.cursor().execute("SELECT '" + "x" * 2_000_000 + "'")
        span = spans.one()
        assert len(span.facts["statement"]) < 20_000
        assert tags(span)["db.statement"] == "SELECT ?..."

    # -- where it stands

    def test_it_is_a_child_of_the_current_span_and_restores_it(self, connection: Any, spans: Recorded) -> None:
        with trace.get_tracer("t").start_as_current_span("work") as work:
            connection.cursor().execute("SELECT 1")
            assert trace.get_current_span() is work
        statement, outer = spans
        assert is_child(statement, outer)

    def test_without_a_current_span_it_is_a_trace_of_its_own(self, connection: Any, spans: Recorded) -> None:
        connection.cursor().execute("SELECT 1")
        connection.cursor().execute("SELECT 1")
        first, second = spans
        assert first.parent_id == second.parent_id == 0
        assert first.trace_id != second.trace_id

    def test_suppressed_tracing_makes_none(self, connection: Any, spans: Recorded) -> None:
        token = context.attach(context.set_value(current.SUPPRESS_KEY, True))
        try:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            assert [tuple(row) for row in cursor.fetchall()] == [(1,)]
        finally:
            context.detach(token)
        assert spans == []

    def test_unsampled_ones_are_not_exported(
        self, connection: Any, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(new_span, "decide", lambda trace_id: False)
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert [tuple(row) for row in cursor.fetchall()] == [(1,)]
        assert spans == []

    # -- errors of the driver's

    def test_an_error_passes_untouched_and_is_recorded(self, connection: Any, spans: Recorded) -> None:
        with pytest.raises(Exception) as caught:
            connection.cursor().execute("SELECT nothing FROM nowhere")
        assert f"{type(caught.value).__module__}.".startswith(f"{self.component}.")
        assert self.chained or (caught.value.__context__ is None and caught.value.__cause__ is None)
        span = spans.one()
        assert span.failure is not None and span.failure.message == str(caught.value)
        found = tags(span)
        assert found["error"] is True
        assert found["error.type"].endswith(type(caught.value).__name__)
        assert found["db.operation.name"] == "SELECT"
        assert found.get("db.sqlstate") == found.get("db.response.status_code") == self.unknown_table
        assert found.get("db.errno") == self.unknown_errno

    def test_an_error_is_not_held_back(self, connection: Any, spans: Recorded) -> None:
        """Its traceback would hold the frames, and they the program's objects."""
        import gc
        import weakref

        class Program:
            pass

        def work() -> weakref.ref[Program]:
            mine = Program()
            try:
                connection.cursor().execute("SELECT nothing FROM nowhere")
            except Exception:
                pass
            return weakref.ref(mine)

        gc.disable()
        try:
            assert work()() is None
        finally:
            gc.enable()

    def test_a_failed_connect_is_a_span_with_the_error(self, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connects, "now", lambda: 5)
        with pytest.raises(Exception) as caught:
            self.connect_badly()
        span = spans.one()
        assert (span.kind, span.name) == (SpanKind.CLIENT, "connect")
        assert span.start_time == 5, "it lasts from the attempt on"
        assert span.failure is not None and span.failure.message == str(caught.value)
        assert tags(span)["db.system.name"] == self.system

    def test_a_connect_that_succeeds_makes_none(self, spans: Recorded) -> None:
        self.connect().close()
        assert spans == []

    # -- failures of ours

    @pytest.mark.parametrize("step", ["read", "start", "enter", "facts", "end", "fail"])
    @pytest.mark.parametrize("statement", ["INSERT INTO orders VALUES (3, 'x')", "INSERT INTO orders VALUES (1, 'x')"])
    def test_our_own_failure_changes_nothing(
        self,
        connection: Any,
        step: str,
        statement: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """At every step, with a statement that runs exactly once (its key is unique) and with a refused one."""

        def outcome() -> tuple[str, int]:
            cursor = connection.cursor()
            try:
                cursor.execute(statement)
                result = str(cursor.rowcount)
            except Exception as error:
                result = f"{type(error)} {error}"
                assert "ours" not in "".join(traceback.format_exception(error))
            connection.rollback()
            return result, 0

        expected = outcome()
        monkeypatch.setattr(containment, "failures", {})
        break_step(step, monkeypatch)
        with record() as recorded:
            assert outcome() == expected
        refused = "(1," in statement
        coded = self.unknown_table is not None or self.unknown_errno is not None
        fails = {"fail": refused, "facts": coded if refused else self.tells_rows}.get(step, True)
        assert (containment.failures != {}) is fails, containment.failures
        assert capsys.readouterr().err.count("\n") == (1 if fails else 0)
        assert len(recorded) <= 1


def break_step(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one piece of our work raise."""

    def ours(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    class Facts(dict[str, Any]):
        __setitem__ = ours

    def start(family: Any, kind: Any, facts: Any, *rest: Any) -> Any:
        return tracer.start(family, kind, Facts(facts), *rest)

    broken = {"start": ours, "enter": ours, "facts": start}
    if step == "read":
        monkeypatch.setattr(driver, "getattr", ours, raising=False)
        monkeypatch.setattr(traced_methods.StatementCall, "read", property(ours), raising=False)
    elif step in broken:
        for module in (driver, traced_methods):
            monkeypatch.setattr(module, "start" if step == "facts" else step, broken[step])
    else:
        monkeypatch.setattr(Span, step, ours)
