"""AUTOTRACE_SQL_COMMENTS on a real PostgreSQL and a real MariaDB: texts that the servers get, and none."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind

from autotrace import containment
from autotrace.databases import sql_comments
from autotrace.databases.driver import Driver
from autotrace.databases.sql_comments import commented, with_comment, writer
from autotrace.semantics import database
from autotrace.semantics.family import SharedFacts
from autotrace.settings import in_force
from autotrace.tracing.current import enter, leave
from autotrace.tracing.span import Span
from test_services import cache
from test_services.built_drivers import driver, search_path
from test_services.mariadb import MariaDB
from test_services.postgresql import PostgreSQL
from tests.programs import on_path, python

SPAN = Span(0xAB, 0xCD, 0, 1, None, SpanKind.CLIENT, database.family("postgresql"), {}, None)
TRACEPARENT = "00-000000000000000000000000000000ab-00000000000000cd-01"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_force(), "sql_comments", "full")
    monkeypatch.setattr(in_force(), "service_name", "shop")


def with_one(statement: str, component: str = "x") -> str:
    return with_comment(statement, writer(component), SPAN)


# -- the text ---------------------------------------------------------------------------------------------------------


def test_static_says_who_asks_and_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_force(), "sql_comments", "static")
    assert with_one("SELECT 1", "psycopg2") == "SELECT 1 /*db_driver='psycopg2'*/"


def test_full_adds_the_span(full: None) -> None:
    expected = f"SELECT 1 /*application='shop',db_driver='psycopg2',traceparent='{TRACEPARENT}'*/"
    assert with_one("SELECT 1", "psycopg2") == expected


def test_it_stands_before_the_semicolon(full: None) -> None:
    assert re.fullmatch(r"SELECT 1 /\*.*\*/; *", with_one("SELECT 1 ; "))


@pytest.mark.parametrize("name", ["a'b", "*/ DROP TABLE t; --", "50%", "ü", ":a?", "a b", "{x}"])
def test_no_name_leaves_the_comment_nor_looks_like_a_placeholder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_force(), "service_name", name)
    monkeypatch.setattr(in_force(), "sql_comments", "static")
    text = writer("x")(SPAN)
    assert re.fullmatch(r"/\*application='[A-Za-z0-9._~-]*',db_driver='x'\*/", text)


@pytest.mark.parametrize(
    "statement",
    [
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "COPY t FROM STDIN",
        "CREATE VIEW v AS SELECT 1",
        "BEGIN",
        "SET x = 1",
        "SELECTED",
        "",
        ";",
        "SELECT 1 -- done",
        "SELECT 1 /* done */",
        "/* first */ SELECT 1",
        "SELECT 1 /* never ends",
        "SELECT '/* is text'",
        "INSERT INTO t VALUES " + "(1)," * 20_000 + "(1)",
    ],
    ids=lambda statement: statement[:25],
)
def test_what_cannot_take_one_stays_itself(statement: str, full: None) -> None:
    assert with_one(statement) is statement


@pytest.mark.parametrize("verb", ["select", " INSERT", "\nWith", "update", "Delete", "REPLACE", "call", "declare"])
def test_what_can_take_one_does(verb: str, full: None) -> None:
    assert with_one(f"{verb} x").startswith(f"{verb} x /*")


with pytest.MonkeyPatch.context() as patched:
    patched.setattr(in_force(), "sql_comments", "full")
    FULL = writer("x")

CONNECTION = sqlite3.connect(":memory:", check_same_thread=False)
PIECES = [
    "SELECT",
    "WITH a AS (SELECT 1)",
    "1",
    "'a;'",
    "''",
    '"a"',
    ",",
    "(",
    ")",
    "+",
    ";",
    "\n",
    " ",
    "%",
    "#",
    "`a`",
    "[",
    "AS",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join).map("SELECT ".__add__))
def test_what_a_database_takes_it_takes_with_the_comment_and_gives_the_same(statement: str) -> None:
    assert outcome(with_comment(statement, FULL, SPAN)) == outcome(statement)


def outcome(statement: str) -> Any:
    try:
        return CONNECTION.execute(statement).fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        return type(error)


def execute(self: Any, sql: Any) -> Any:
    return sql


@pytest.mark.parametrize("current", [None, Span(1, 2, 0, 1, None, SpanKind.SERVER, None, {}, None)])
def test_a_statement_without_a_span_gets_no_comment(current: Span | None, full: None) -> None:
    """Tracing is suppressed, say: neither nobody's span nor the caller's is the statement's."""
    driver = Driver("x", "postgresql", lambda connection: SharedFacts({}))
    run = commented(driver, "sql", lambda original: original)(execute)
    token = None if current is None else enter(current)
    try:
        assert run(None, "SELECT 1") == run(None, sql="SELECT 1") == "SELECT 1"
    finally:
        if token is not None:
            leave(token)


def test_a_failure_of_ours_leaves_the_statement(full: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "failures", {})
    monkeypatch.setattr(sql_comments, "with_comment", lambda *_: 1 / 0)
    driver = Driver("x", "postgresql", lambda connection: SharedFacts({}))
    token = enter(Span(1, 2, 0, 1, None, SpanKind.CLIENT, driver.family, {}, None))
    try:
        assert commented(driver, "sql", lambda original: original)(execute)(None, "SELECT 1") == "SELECT 1"
    finally:
        leave(token)
    assert set(containment.failures) == {"x: the SQL comment"}


# -- what the servers get ---------------------------------------------------------------------------------------------

ASKED = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
PSYCOPG2 = f"""
import io, json, sys, psycopg2, psycopg2.extras
from psycopg2 import sql
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
ASKED = {ASKED!r}
conn = psycopg2.connect(sys.argv[1]); conn.autocommit = True
k = conn.cursor(); k.execute("CREATE TEMP TABLE t (a int, b text)")
other = psycopg2.connect(sys.argv[1]); other.autocommit = True; log = other.cursor()
def seen():
    log.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (conn.info.backend_pid,))
    return log.fetchone()[0]
out = dict()
k.execute(ASKED); out["plain"] = k.fetchone()[0]; span = spans[-1]
out["span"] = "00-%032x-%016x-01" % (span.trace_id, span.span_id); out["recorded"] = span.facts["statement"]
k.execute(ASKED + " AND %s = %s", ("x%", "x%")); out["parameters"] = k.fetchone()[0]
k.execute(query=ASKED + ";"); out["keyword"] = k.fetchone()[0]
k.execute(ASKED.encode()); out["bytes"] = k.fetchone()[0]
k.execute(sql.SQL(ASKED)); out["composed"] = k.fetchone()[0]
psycopg2.extras.execute_values(k, "INSERT INTO t VALUES %s", [(1, "a"), (2, "b")]); out["values"] = seen()
psycopg2.extras.execute_batch(k, "INSERT INTO t VALUES (%s, %s)", [(1, "a"), (2, "b")]); out["batch"] = seen()
k.executemany("INSERT INTO t VALUES (%s, %s)", [(1, "a"), (2, "b")]); out["many"] = seen()
k.copy_expert("COPY t TO STDOUT", io.StringIO()); out["copy"] = seen()
k.execute("PREPARE p AS SELECT 1"); out["prepare"] = seen()
k.execute("EXECUTE p"); out["execute"] = seen()
n = conn.cursor("named", withhold=True); n.execute("SELECT 1 AS a"); out["rows"] = n.fetchall(); n.close()
k.execute("SELECT count(*) FROM t"); out["count"] = k.fetchone()[0]
mine = "UPDATE t SET a = 1"; k.execute(mine); out["mine"] = mine
out["query"] = k.query.decode()
print(json.dumps(out))
"""


def run(program: str, *arguments: str, mode: str, **variables: str) -> dict[str, Any]:
    done = on_path(
        *python(program), *arguments, AUTOTRACE_SQL_COMMENTS=mode, AUTOTRACE_SERVICE_NAME="shop", **variables
    )
    assert done.stderr == ""
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_psycopg2_full(postgresql: PostgreSQL) -> None:
    out = run(PSYCOPG2, postgresql.dsn, mode="full")
    comment = f"/*application='shop',db_driver='psycopg2',traceparent='{out['span']}'*/"
    assert out["plain"] == f"{ASKED} {comment}"
    assert out["recorded"] == ASKED, "the span tells the program's statement"
    assert re.fullmatch(re.escape(ASKED) + r" AND 'x%' = 'x%' /\*.*traceparent='00-[0-9a-f-]+'\*/", out["parameters"])
    assert re.fullmatch(re.escape(ASKED) + r" /\*.*\*/;", out["keyword"])
    untouched = ("bytes", "composed", "values", "batch", "many", "copy", "prepare", "execute")
    assert [name for name in untouched if "/*" in out[name]] == []
    assert (out["rows"], out["count"], out["mine"]) == ([[1]], 6, "UPDATE t SET a = 1")


def test_psycopg2_static_and_off(postgresql: PostgreSQL) -> None:
    assert (
        run(PSYCOPG2, postgresql.dsn, mode="static")["plain"] == f"{ASKED} /*application='shop',db_driver='psycopg2'*/"
    )
    assert run(PSYCOPG2, postgresql.dsn, mode="off")["plain"] == ASKED


RUNNING = "SELECT info FROM information_schema.processlist WHERE id = connection_id()"
MYSQL = f"""
import json, sys, importlib
RUNNING = {RUNNING!r}
name, port, more = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
driver = importlib.import_module(name)
if name == "MySQLdb":
    import MySQLdb.connections
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
conn = driver.connect(host="127.0.0.1", port=port, user="app", password="pw", database="app", **more)
k = conn.cursor(); out = dict()
text = lambda value: value.decode() if isinstance(value, (bytes, bytearray)) else value
def get(*a, **kw):
    k.execute(*a, **kw)
    (row,) = k.fetchall()
    return text(row[0])
out["plain"] = get(RUNNING); span = spans[-1]; out["span"] = "00-%032x-%016x-01" % (span.trace_id, span.span_id)
mark = "?" if driver.paramstyle == "qmark" else "%s"
out["parameters"] = get(RUNNING + f" AND {{mark}} = {{mark}}", ("x%", "x%"))
out["semicolon"] = get(RUNNING + ";")
out["bytes"] = get(RUNNING.encode()) if name != "mariadb" else ""
out["hash"] = get(RUNNING + " # a comment")
k.execute("CREATE TEMPORARY TABLE t (a int, b text)")
k.executemany(f"INSERT INTO t VALUES ({{mark}}, {{mark}})", [(1, "a"), (2, "b")]); out["rows"] = k.rowcount
if name == "mysql.connector":
    k = conn.cursor(prepared=True); out["prepared"] = get(RUNNING)
print(json.dumps(out))
"""


@pytest.mark.parametrize(
    ("name", "more"), [("pymysql", {}), ("MySQLdb", {}), ("mysql.connector", {"use_pure": True}), ("mariadb", {})]
)
def test_the_drivers_of_mysql(name: str, more: dict[str, Any], mariadb: MariaDB) -> None:
    if name in ("MySQLdb", "mariadb"):
        try:
            driver(name)
        except cache.Unavailable as reason:
            cache.require_real(name, reason, "its comments are not tested")
            pytest.skip(f"{name} cannot be had")
    out = run(MYSQL, name, str(mariadb.port), json.dumps(more), mode="full", PYTHONPATH=search_path())
    if name == "mariadb":
        assert "/*" not in json.dumps(out), "it prepares statements"
        return
    assert out["plain"] == f"{RUNNING} /*application='shop',db_driver='{name}',traceparent='{out['span']}'*/"
    assert re.fullmatch(re.escape(RUNNING) + r" AND 'x%' = 'x%' /\*.*traceparent=.*\*/", out["parameters"])
    assert out["semicolon"].startswith(f"{RUNNING} /*")
    assert "/*" not in out["bytes"] + out.get("prepared", "")
    assert out["rows"] == 2


SQLITE = """
import sqlite3
conn = sqlite3.connect(":memory:"); seen = []; conn.set_trace_callback(seen.append)
conn.execute("SELECT 1").fetchall(); print(seen)
"""


def test_sqlite3_prepares_every_statement_and_gets_none() -> None:
    done = on_path(*python(SQLITE), AUTOTRACE_SQL_COMMENTS="full")
    assert done.stdout == "['SELECT 1']\n"
