"""AUTOTRACE_SQL_COMMENTS with psycopg 3 and pg8000: texts that a real PostgreSQL gets, and texts that it prepares."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import _queries
from psycopg.adapt import Transformer

from autotrace.databases.sql_comments import LONGEST, with_comment
from autotrace.patches import psycopg as patch
from autotrace.patching import MARK, Plan
from autotrace.settings import in_force
from test_services.postgresql import PostgreSQL
from tests.databases.test_sql_comments import ASKED, FULL, SPAN, run
from tests.databases.test_sql_comments import PIECES as COMMON_PIECES

COMMENT = r" /\*application='shop',db_driver='{}',traceparent='(00-[0-9a-f]{{32}}-[0-9a-f]{{16}}-01)'\*/"
KEPT = "SELECT statement FROM pg_prepared_statements WHERE statement NOT LIKE '%%pg_prepared%%'"
OPENING = f"""
import io, json, sys
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
ASKED, KEPT, out = {ASKED!r}, {KEPT!r}, dict()
def parent(number=-1):
    return "00-%032x-%016x-01" % (spans[number].trace_id, spans[number].span_id)
"""

PSYCOPG = (
    OPENING
    + """
import psycopg
from psycopg import sql
conn = psycopg.connect(sys.argv[1], autocommit=True); k = conn.cursor()
other = psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None)
def get(*a, cursor=k, **kw):
    cursor.execute(*a, **kw)
    return cursor.fetchone()[0]
def seen():
    return other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (conn.info.backend_pid,)).fetchone()[0]
def kept():
    return [row[0] for row in conn.execute(KEPT, prepare=False)]
out["by itself"] = []
for _ in range(8):
    out["by itself"].append([get(ASKED), parent()])
out["recorded"] = spans[0].facts["statement"]
out["kept"] = kept()
out["parameters"] = get(ASKED + " AND %s::text = %s", ("x%", "x%"))
out["keyword"] = get(query=ASKED + ";")
out["bytes"] = get(ASKED.encode() + b" AND 1 = 1")
out["composed"] = get(sql.SQL(ASKED + " AND {} = 2").format(2))
out["binary"] = get(ASKED + " AND 3 = 3", binary=True)
out["never"] = [get(ASKED + " AND 4 = 4", prepare=False) for _ in range(8)]
out["at once"] = get(ASKED + " AND 5 = 5", prepare=True)
out["client"] = [get(ASKED + " AND %s = 'x%%'", ("x%",), cursor=psycopg.ClientCursor(conn)) for _ in range(8)]
out["raw"] = get(ASKED + " AND $1 = 7", (7,), cursor=psycopg.RawCursor(conn))
with conn.cursor("named", withhold=True) as named:
    named.execute("SELECT statement FROM pg_cursors WHERE name = 'named'"); out["server"] = named.fetchone()[0]
out["stream"] = [row[0] for row in k.stream(ASKED)]
with k.copy("COPY (" + ASKED + ") TO STDOUT") as copy:
    out["copy"] = b"".join(copy).decode()
k.execute("CREATE TEMP TABLE t (a int)")
k.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)]); out["many"] = seen()
conn.prepare_threshold = None
k.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)]); out["many, unprepared"] = [seen(), parent(-2)]
out["no threshold"] = [get(ASKED + " AND 6 = 6") for _ in range(8)]
conn.prepare_threshold = 5
k.execute("PREPARE p AS SELECT 8"); k.execute("EXECUTE p"); out["execute"] = seen()
out["kept at the end"] = kept()
conn.execute("SET client_encoding TO latin1"); out["latin1"] = get(ASKED + " AND 'é' = 'é'")
print(json.dumps(out))
"""
)

PIPELINE = (
    OPENING
    + """
import psycopg
conn = psycopg.connect(sys.argv[1], autocommit=True)
cursors, parents = [conn.cursor() for _ in range(8)], []
with conn.pipeline() as pipeline:
    for cursor in cursors:
        cursor.execute(ASKED)
        pipeline.sync()  # for within a transaction pg_stat_activity stays as it was
    out["texts"] = [cursor.fetchone()[0] for cursor in cursors]
out["parents"] = [parent(number) for number in range(len(spans))]
out["kept"] = [row[0] for row in conn.execute(KEPT)]
print(json.dumps(out))
"""
)

ASYNC = (
    OPENING
    + """
import asyncio, psycopg
from autotrace.tracing.current import get, span_of
async def task(number):
    conn = await psycopg.AsyncConnection.connect(sys.argv[1], autocommit=True)
    texts = []
    for _ in range(8):
        k = await conn.execute(ASKED + " AND pg_sleep(0.01) IS NOT NULL")
        texts.append((await k.fetchone())[0])
    kept = [row[0] for row in await (await conn.execute(KEPT)).fetchall()]
    client = await psycopg.AsyncClientCursor(conn).execute(ASKED + " AND %s = 'x'", ("x",))
    text = (await client.fetchone())[0]
    await conn.close()
    return [texts, kept, text]
async def main():
    return await asyncio.gather(task(1), task(2))
out["tasks"] = asyncio.run(main())
out["parents"] = [parent(number) for number in range(len(spans))]
print(json.dumps(out))
"""
)

PG8000 = (
    OPENING
    + """
import pg8000.dbapi, pg8000.legacy, pg8000.native
where = dict(user="app", database="app", host=sys.argv[1], port=int(sys.argv[2]))
other = pg8000.native.Connection(**where)
def seen(pid):
    return other.run("SELECT query FROM pg_stat_activity WHERE pid = :pid", pid=pid)[0][0]
for name, module in ("dbapi", pg8000.dbapi), ("legacy", pg8000.legacy):
    conn = module.connect(**where); conn.autocommit = True; k = conn.cursor(); here = out[name] = dict()
    def get(*a, **kw):
        k.execute(*a, **kw)
        return k.fetchone()[0]
    here["plain"] = [get(ASKED), parent()]; here["recorded"] = spans[-1].facts["statement"]
    here["parameters"] = [get(ASKED + " AND 7 %% 4 = 3 AND %s = 'x%'", ("x%",)) for _ in range(8)]
    here["keyword"] = get(operation=ASKED + ";")
    for style, mark in ("qmark", "?"), ("numeric", ":1"), ("named", ":a"), ("pyformat", "%(a)s"):
        module.paramstyle = pg8000.paramstyle = style
        if name == "legacy":
            k.paramstyle = style
        given = ("x",) if style in ("qmark", "numeric") else {"a": "x"}
        here[style] = get(ASKED + f" AND {mark} = 'x'", given)
    module.paramstyle = pg8000.paramstyle = "format"
    if name == "legacy":
        k.paramstyle = "format"
    pid = get("SELECT pg_backend_pid()")
    k.execute("CREATE TEMP TABLE t (a int)")
    k.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)]); here["many"] = [seen(pid), parent(-2)]
    k.execute("COPY t TO STDOUT", stream=io.BytesIO()); here["copy"] = seen(pid)
    k.execute("PREPARE p AS SELECT 1"); k.execute("EXECUTE p"); here["execute"] = seen(pid)
    if name == "legacy":
        here["run"] = conn.run(ASKED + " AND :a = 'x'", a="x")[0][0]
        here["prepared"] = conn.prepare(ASKED + " AND :a = 'x'").run(a="x")[0][0]
    k.execute(KEPT.replace("%%", "%")); here["kept"] = [row[0] for row in k.fetchall()]
here = out["native"] = dict(); conn = pg8000.native.Connection(**where)
here["plain"] = [conn.run(ASKED)[0][0], parent()]; here["recorded"] = spans[-1].facts["statement"]
here["parameters"] = [conn.run(ASKED + " AND :a = 'x:b'", a="x:b")[0][0] for _ in range(8)]
here["keyword"] = conn.run(sql=ASKED + ";")[0][0]
prepared = conn.prepare(ASKED + " AND :a = 'x'"); here["prepared"] = prepared.run(a="x")[0][0]
here["kept"] = [row[0] for row in conn.run(KEPT.replace("%%", "%"))]
print(json.dumps(out))
"""
)


def of(driver: str, statement: str, text: str) -> str:
    """The traceparent in `text`, which is `statement` with the comment of AUTOTRACE_SQL_COMMENTS=full."""
    found = re.fullmatch(re.escape(statement) + COMMENT.format(driver), text)
    assert found is not None, text
    return found[1]


@pytest.fixture(scope="module")
def psycopg_full(postgresql: PostgreSQL) -> dict[str, Any]:
    return run(PSYCOPG, postgresql.dsn, mode="full")


@pytest.fixture(scope="module")
def pg8000_full(postgresql: PostgreSQL) -> dict[str, Any]:
    return run(PG8000, postgresql.host, str(postgresql.port), mode="full")


PIECES = [
    *COMMON_PIECES,
    "$$",
    "$a$",
    "E'\\'",
    "--",
    "?",
    ":",
    "\\",
    "@",
    "FROM generate_series(1, 2)",
    "LIMIT 1",
    "FOR UPDATE",
    "|",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=10).map(" ".join).map("SELECT ".__add__))
def test_what_the_server_takes_it_takes_with_the_comment_and_gives_the_same(
    postgresql: PostgreSQL, statement: str
) -> None:
    with psycopg.connect(postgresql.dsn, autocommit=True, prepare_threshold=None) as connection:
        assert outcome(connection, with_comment(statement, FULL, SPAN)) == outcome(connection, statement)


def outcome(connection: Any, statement: str) -> Any:
    try:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else cursor.statusmessage
    except psycopg.Error as error:
        return error.sqlstate


class TestPsycopg:
    @pytest.fixture
    def full(self, psycopg_full: dict[str, Any]) -> dict[str, Any]:
        return psycopg_full

    def test_until_the_driver_prepares_a_statement_each_has_its_own_span(self, full: dict[str, Any]) -> None:
        texts = [text for text, _ in full["by itself"]]
        assert [of("psycopg", ASKED, text) for text in texts[:5]] == [span for _, span in full["by itself"][:5]]
        assert len(set(texts[:5])) == 5
        assert texts[5:] == [ASKED] * 3, "prepared, it is the program's own text"
        assert full["kept"] == [ASKED]
        assert full["recorded"] == ASKED

    def test_no_mode_changes_what_is_prepared(self, full: dict[str, Any], postgresql: PostgreSQL) -> None:
        off, static = (run(PSYCOPG, postgresql.dsn, mode=mode) for mode in ("off", "static"))
        assert full["kept at the end"] == static["kept at the end"] == off["kept at the end"]
        assert "/*" not in str(off) + str(full["kept at the end"])
        said = " /*application='shop',db_driver='psycopg'*/"
        assert [text for text, _ in static["by itself"]] == [ASKED + said] * 5 + [ASKED] * 3
        assert static["at once"] == f"{ASKED} AND 5 = 5"

    def test_whatever_kind_of_statement_it_is(self, full: dict[str, Any]) -> None:
        of("psycopg", ASKED + " AND $1::text = $2", full["parameters"])
        assert re.fullmatch(re.escape(ASKED) + r" /\*.*\*/;", full["keyword"])
        of("psycopg", ASKED + " AND 1 = 1", full["bytes"])
        of("psycopg", ASKED + " AND 2 = 2", full["composed"])
        of("psycopg", ASKED + " AND 3 = 3", full["binary"])
        of("psycopg", ASKED + " AND $1 = 7", full["raw"])

    def test_what_is_never_prepared_has_one_each_time(self, full: dict[str, Any]) -> None:
        assert len({of("psycopg", ASKED + " AND 4 = 4", text) for text in full["never"]}) == 8
        assert len({of("psycopg", ASKED + " AND 'x%' = 'x%'", text) for text in full["client"]}) == 8
        assert len({of("psycopg", ASKED + " AND 6 = 6", text) for text in full["no threshold"]}) == 8

    def test_the_query_of_a_server_cursor_has_one(self, full: dict[str, Any]) -> None:
        declared = "DECLARE \"named\" CURSOR WITH HOLD FOR SELECT statement FROM pg_cursors WHERE name = 'named'"
        of("psycopg", declared, full["server"])

    def test_executemany_has_the_comment_of_its_span_where_it_does_not_prepare(self, full: dict[str, Any]) -> None:
        assert full["many"] == "INSERT INTO t VALUES ($1)"
        text, span = full["many, unprepared"]
        assert of("psycopg", "INSERT INTO t VALUES ($1)", text) == span

    def test_nothing_else_has_one(self, full: dict[str, Any]) -> None:
        assert full["at once"] == f"{ASKED} AND 5 = 5"
        assert full["stream"] == [ASKED]
        assert full["copy"] == f"COPY ({ASKED}) TO STDOUT\n"
        assert full["execute"] == "EXECUTE p"
        assert full["latin1"] == f"{ASKED} AND 'é' = 'é'", "no UTF-8: nothing to be sure of"

    def test_in_a_pipeline(self, postgresql: PostgreSQL) -> None:
        out = run(PIPELINE, postgresql.dsn, mode="full")
        parents = [of("psycopg", ASKED, text) for text in out["texts"][:5]]
        assert parents == out["parents"][:5]
        assert out["texts"][5:] == [ASKED] * 3 and out["kept"] == [ASKED]

    def test_in_tasks_each_its_own(self, postgresql: PostgreSQL) -> None:
        out = run(ASYNC, postgresql.dsn, mode="full")
        asked, found = f"{ASKED} AND pg_sleep(0.01) IS NOT NULL", set()
        for texts, kept, client in out["tasks"]:
            found |= {of("psycopg", asked, text) for text in texts[:5]}
            found.add(of("psycopg", ASKED + " AND 'x' = 'x'", client))
            assert texts[5:] == [asked] * 3 and kept == [asked]
        assert len(found) == 12 and found <= set(out["parents"])

    def test_a_body_of_data_is_not_copied_for_a_comment(self) -> None:
        query = _queries.PostgresQuery(Transformer())
        for sent, taken in ((b"SELECT 1", True), (b"SELECT " + b" " * LONGEST, False)):
            query.query = sent
            put = patch._with_comment(query, lambda text: f"{text} /**/")
            assert (put is not query) is taken
            assert query.query is sent and put.query == sent + b" /**/" * taken

    def test_off_leaves_the_method_the_drivers_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for mode, expected in (("off", False), ("full", True)):
            monkeypatch.setattr(in_force(), "sql_comments", mode)
            plan = Plan()
            patch.driver(psycopg, plan)
            assert any("._execute_send " in what for _, _, what in plan._steps) is expected

    def test_a_psycopg_that_sends_otherwise_has_its_spans_and_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(in_force(), "sql_comments", "static")
        monkeypatch.delattr(patch._owner(psycopg.Cursor, "_execute_send"), "_execute_send")
        plan = Plan()
        patch.driver(psycopg, plan)
        assert hasattr(psycopg.Cursor.execute, MARK) or any(".execute " in what for _, _, what in plan._steps)
        effect = "AUTOTRACE_SQL_COMMENTS=static has no effect on this psycopg"
        assert capsys.readouterr().err == f"autotrace: {effect}: psycopg.Cursor has no _execute_send\n"


class TestPg8000:
    @pytest.fixture
    def full(self, pg8000_full: dict[str, Any]) -> dict[str, Any]:
        return pg8000_full

    @pytest.mark.parametrize("interface", ["dbapi", "legacy", "native"])
    def test_each_statement_has_its_own_span(self, interface: str, full: dict[str, Any]) -> None:
        out = full[interface]
        text, span = out["plain"]
        assert of("pg8000", ASKED, text) == span and out["recorded"] == ASKED
        asked = ASKED + (" AND $1 = 'x:b'" if interface == "native" else " AND 7 % 4 = 3 AND $1 = 'x%'")
        assert len({of("pg8000", asked, text) for text in out["parameters"]}) == 8
        assert re.fullmatch(re.escape(ASKED) + r" /\*.*\*/;", out["keyword"])

    @pytest.mark.parametrize("interface", ["dbapi", "legacy"])
    def test_parameters_stay_parameters_in_every_style(self, interface: str, full: dict[str, Any]) -> None:
        for style in ("qmark", "numeric", "named", "pyformat"):
            of("pg8000", ASKED + " AND $1 = 'x'", full[interface][style])
        text, span = full[interface]["many"]
        assert of("pg8000", "INSERT INTO t VALUES ($1)", text) == span

    @pytest.mark.parametrize(("interface", "kept"), [("dbapi", 1), ("legacy", 2), ("native", 1)])
    def test_what_is_prepared_or_copied_has_none(self, interface: str, kept: int, full: dict[str, Any]) -> None:
        out = full[interface]
        assert len(out["kept"]) == kept
        for text in (*out["kept"], *(out[name] for name in ("prepared", "copy", "execute") if name in out)):
            assert "/*" not in text

    def test_static_is_the_same_each_time_and_off_is_none(self, postgresql: PostgreSQL) -> None:
        off, static = (run(PG8000, postgresql.host, str(postgresql.port), mode=mode) for mode in ("off", "static"))
        for interface in ("dbapi", "legacy", "native"):
            assert static[interface]["plain"][0] == f"{ASKED} /*application='shop',db_driver='pg8000'*/"
            assert len(set(static[interface]["parameters"])) == 1
            assert static[interface]["kept"] == off[interface]["kept"]
        assert "/*" not in str(off)
