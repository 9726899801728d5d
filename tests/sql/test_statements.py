"""autotrace.sql: what is read from a statement, that no literal is ever shown, and that hostile text costs no more than its length."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg.sql
import psycopg2.sql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace import containment, sql
from autotrace.sql import LIMIT, SLACK, SUMMARY_LIMIT, describe, dialects

DIALECTS = ["", "postgresql", "mysql", "sqlite"]

# (dialect, statement, operation, table, summary, masked text)
CASES = [
    # The examples of OpenTelemetry's "Generating a summary of the query".
    ("", "SELECT *\nFROM   wuser_table\nWHERE  username = 'bob'",
     "SELECT", "wuser_table", "SELECT wuser_table", "SELECT * FROM wuser_table WHERE username = ?"),
    ("", "INSERT INTO orders (a, b) SELECT a, b FROM customers WHERE id = 5",
     "INSERT", "orders", "INSERT orders SELECT customers",
     "INSERT INTO orders (a, b) SELECT a, b FROM customers WHERE id = ?"),
    ("", "SELECT * FROM songs, artists WHERE songs.artist_id == artists.id",
     "SELECT", "songs", "SELECT songs artists", "SELECT * FROM songs, artists WHERE songs.artist_id == artists.id"),
    ("", "SELECT d FROM (SELECT * FROM orders o JOIN customers c ON o.a = c.b)",
     "SELECT", "orders", "SELECT SELECT orders customers",
     "SELECT d FROM (SELECT * FROM orders o JOIN customers c ON o.a = c.b)"),
    ("", 'SELECT * FROM "song list", artists',
     "SELECT", "song list", 'SELECT "song list" artists', 'SELECT * FROM "song list", artists'),
    # Which FROM counts; which names are tables.
    ("", "select extract(year from ts), trim(both from x) from public.orders o, b as c where a is distinct from z",
     "SELECT", "public.orders", "SELECT public.orders b",
     "select extract(year from ts), trim(both from x) from public.orders o, b as c where a is distinct from z"),
    ("", "SELECT (SELECT count(*) FROM a) FROM b", "SELECT", "b", "SELECT SELECT a b", "SELECT (SELECT count(*) FROM a) FROM b"),
    ("", "SELECT * FROM generate_series(1, 5) g, t",
     "SELECT", "t", "SELECT generate_series t", "SELECT * FROM generate_series(?, ?) g, t"),
    ("", "SELECT * FROM (a JOIN b ON a.x = b.x), c ORDER BY d, e",
     "SELECT", "c", "SELECT a b c", "SELECT * FROM (a JOIN b ON a.x = b.x), c ORDER BY d, e"),
    ("", "SELECT * FROM jobs FOR UPDATE", "SELECT", "jobs", "SELECT jobs", "SELECT * FROM jobs FOR UPDATE"),
    ("", "(SELECT a FROM x) UNION ALL (SELECT b FROM y)",
     "SELECT", "x", "SELECT x SELECT y", "(SELECT a FROM x) UNION ALL (SELECT b FROM y)"),
    ("", "SELECT nextval('s')", "SELECT", "", "SELECT", "SELECT nextval(?)"),
    ("", "UPDATE ONLY s.t SET a = 1, b = 2 FROM u", "UPDATE", "s.t", "UPDATE s.t u", "UPDATE ONLY s.t SET a = ?, b = ? FROM u"),
    ("", "DELETE FROM a USING b WHERE a.id = b.id", "DELETE", "a", "DELETE a b", "DELETE FROM a USING b WHERE a.id = b.id"),
    ("", "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT (a) VALUES (1)",
     "MERGE", "t", "MERGE t s",
     "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = ? WHEN NOT MATCHED THEN INSERT (a) VALUES (?)"),
    ("postgresql", "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2",
     "INSERT", "t", "INSERT t", "INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = ?"),
    ("mysql", "INSERT IGNORE t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)",
     "INSERT", "t", "INSERT t", "INSERT IGNORE t VALUES (?) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)"),
    # WITH: the operation is the main statement's, its own names are no tables.
    ("", "WITH RECURSIVE a(n) AS (SELECT 1 FROM x), b AS (DELETE FROM y) INSERT INTO z SELECT * FROM a JOIN b USING (id)",
     "INSERT", "z", "SELECT x DELETE y INSERT z SELECT",
     "WITH RECURSIVE a(n) AS (SELECT ? FROM x), b AS (DELETE FROM y) INSERT INTO z SELECT * FROM a JOIN b USING (id)"),
    ("", "WITH q AS (SELECT * FROM orders) SELECT * FROM q",
     "SELECT", "orders", "SELECT orders SELECT", "WITH q AS (SELECT * FROM orders) SELECT * FROM q"),
    # Definitions and commands.
    ("", "CREATE TABLE IF NOT EXISTS x (id int, n varchar(20), y int REFERENCES z ON DELETE CASCADE)",
     "CREATE TABLE", "x", "CREATE TABLE x",
     "CREATE TABLE IF NOT EXISTS x (id int, n varchar(?), y int REFERENCES z ON DELETE CASCADE)"),
    ("", "CREATE TEMP TABLE n AS SELECT * FROM o",
     "CREATE TABLE", "n", "CREATE TABLE n SELECT o", "CREATE TEMP TABLE n AS SELECT * FROM o"),
    ("", "CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX", "", "CREATE INDEX i", "CREATE UNIQUE INDEX i ON t (a)"),
    ("", "DROP INDEX y", "DROP INDEX", "", "DROP INDEX y", "DROP INDEX y"),
    ("", "DROP TABLE IF EXISTS a, b CASCADE",
     "DROP TABLE", "a", "DROP TABLE a b", "DROP TABLE IF EXISTS a, b CASCADE"),
    ("", "ALTER TABLE t ADD COLUMN x int", "ALTER TABLE", "t", "ALTER TABLE t", "ALTER TABLE t ADD COLUMN x int"),
    ("", "TRUNCATE TABLE a", "TRUNCATE", "a", "TRUNCATE a", "TRUNCATE TABLE a"),
    ("", "COPY t (a, b) FROM STDIN", "COPY", "t", "COPY t", "COPY t (a, b) FROM STDIN"),
    ("", "COPY (SELECT 1 FROM t) TO STDOUT", "COPY", "t", "COPY SELECT t", "COPY (SELECT ? FROM t) TO STDOUT"),
    ("", "CALL s.proc(1, 'x')", "CALL", "", "CALL s.proc", "CALL s.proc(?, ?)"),
    ("", "begin", "BEGIN", "", "BEGIN", "begin"),
    ("", "COMMIT", "COMMIT", "", "COMMIT", "COMMIT"),
    ("", "SET password = 'x'", "SET", "", "SET", "SET password = ?"),
    ("", "GRANT SELECT, INSERT ON t TO bob", "GRANT", "", "GRANT", "GRANT SELECT, INSERT ON t TO bob"),
    ("sqlite", "PRAGMA table_info(t)", "PRAGMA", "", "PRAGMA table_info", "PRAGMA table_info(t)"),
    ("", "EXPLAIN ANALYZE UPDATE t SET a = 2", "EXPLAIN", "t", "EXPLAIN UPDATE t", "EXPLAIN ANALYZE UPDATE t SET a = ?"),
    ("sqlite", "EXPLAIN QUERY PLAN SELECT 1 FROM t",
     "EXPLAIN", "t", "EXPLAIN SELECT t", "EXPLAIN QUERY PLAN SELECT ? FROM t"),
    # Several statements; those alike that follow one another are told once.
    ("", "BEGIN; INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); SELECT * FROM b",
     "BEGIN", "", "BEGIN; INSERT a; SELECT b",
     "BEGIN; INSERT INTO a VALUES (?); INSERT INTO a VALUES (?); SELECT * FROM b"),
    # Nothing to read.
    ("", "", "", "", "", ""),
    ("", " \n\t ", "", "", "", ""),
    ("", "-- only a comment", "", "", "", ""),
    ("", "/* only a comment */", "", "", "", ""),
    ("", " ; ;", "", "", "", "; ;"),
    ("", "hello world 5", "", "", "", "hello world ?"),
    # Values.
    ("", "SELECT -1, +2.5e-3, .5, 1e10, 0x1F, x'1f', 'it''s', NULL, TRUE FROM t1 WHERE t1.c2 = 3",
     "SELECT", "t1", "SELECT t1", "SELECT -?, +?, ?, ?, ?, ?, ?, NULL, TRUE FROM t1 WHERE t1.c2 = ?"),
    ("", "SELECT a FROM t WHERE b IN (1, -2 , 'x') AND c IN (?, ?,?) AND d NOT IN (%s)",
     "SELECT", "t", "SELECT t", "SELECT a FROM t WHERE b IN (?) AND c IN (?) AND d NOT IN (%s)"),
    ("", "SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4)) AND c IN (SELECT d FROM u WHERE e IN (1, 2)) LIMIT 5",
     "SELECT", "t", "SELECT t SELECT u",
     "SELECT a FROM t WHERE (a, b) IN (?) AND c IN (SELECT d FROM u WHERE e IN (?)) LIMIT ?"),
    ("", "INSERT INTO t VALUES (1,2),(3,4) , (5,6) RETURNING id",
     "INSERT", "t", "INSERT t", "INSERT INTO t VALUES (?) RETURNING id"),
    ("", "INSERT INTO t VALUES (now(), 1), (now(), 2)", "INSERT", "t", "INSERT t", "INSERT INTO t VALUES (now(), ?)"),
    ("", "INSERT INTO t VALUES (%s, %s)", "INSERT", "t", "INSERT t", "INSERT INTO t VALUES (%s)"),
    ("", "SELECT * FROM t WHERE a = %s AND b = %(name)s AND c = ? AND d = :name AND e = $1 AND f = :1 AND g = @p",
     "SELECT", "t", "SELECT t",
     "SELECT * FROM t WHERE a = %s AND b = %(name)s AND c = ? AND d = :name AND e = $1 AND f = :1 AND g = @p"),
    ("", "SELECT/*a*/1--x\n+2", "SELECT", "", "SELECT", "SELECT ? +?"),
    # Unknown dialect: "x" is a name where it must be; a backslash before a quote masks the rest.
    ("", 'SELECT "u"."a", "secret" FROM "s"."t" AS u WHERE b = "secret"',
     "SELECT", "s.t", "SELECT s.t", 'SELECT "u"."a", ? FROM "s"."t" AS u WHERE b = ?'),
    ("", r"SELECT a FROM t WHERE b = 'it\'s secret' AND c = 'secret'",
     "SELECT", "t", "SELECT t", "SELECT a FROM t WHERE b = ?"),
    ("", "SELECT q'[it's secret]', [order items] FROM [dbo].[t]",
     "SELECT", "dbo.t", "SELECT dbo.t", "SELECT ?, [order items] FROM [dbo].[t]"),
    ("", "SELECT $$it's secret$$, $zq$it's secret$zq$, $1, v$x FROM t",
     "SELECT", "t", "SELECT t", "SELECT ?, ?, $1, v$x FROM t"),
    ("", "SELECT q'!it's secret!', nq'|it's secret|', q FROM t", "SELECT", "t", "SELECT t", "SELECT ?, ?, q FROM t"),
    ("", 'SELECT * FROM t WHERE a = "b""c\\"secret"', "SELECT", "t", "SELECT t", "SELECT * FROM t WHERE a = ?"),
    ("", "SELECT a FROM t WHERE b = '''it's secret'''", "SELECT", "t", "SELECT t", "SELECT a FROM t WHERE b = ?"),
    ("", 'SELECT a FROM t WHERE b = """a"secret"""', "SELECT", "t", "SELECT t", "SELECT a FROM t WHERE b = ?"),
    # A name or an array, a comment or a name or an operator, a comment in a comment: masked where it depends on that what follows.
    ("", "SELECT a, [it's] FROM t WHERE b = 'secret'", "SELECT", "", "SELECT", "SELECT a, ?"),
    ("", "SELECT ARRAY['a', 'b'], [c] FROM t", "SELECT", "t", "SELECT t", "SELECT ARRAY[?, ?], [c] FROM t"),
    ("", "SELECT a # it's\nFROM t WHERE b = 'secret'", "SELECT", "", "SELECT", "SELECT a ?"),
    ("", "SELECT a #it's\nFROM t WHERE b = 'secret'", "SELECT", "", "SELECT", "SELECT a ?"),
    ("", "SELECT a # 1, b #> c FROM #t WHERE d = 'x'", "SELECT", "", "SELECT", "SELECT a # ?, b #> c FROM #t WHERE d = ?"),
    ("", "SELECT a /* b /* c */ it's */ FROM t WHERE b = 'secret'", "SELECT", "", "SELECT", "SELECT a"),
    ("duckdb", "SELECT $$it's$$, E'it\\'s' /* a /* b */ c */ FROM \"My\"\"T\" -- 'x'\rWHERE a = 'secret'",
     "SELECT", 'My"T', 'SELECT My"T', 'SELECT ?, ? FROM "My""T" WHERE a = ?'),
    # PostgreSQL.
    ("postgresql", "SELECT a FROM t WHERE b = E'a\\'' -- c\n '\\'secret' AND d = 'x\\'", "SELECT", "t", "SELECT t",
     "SELECT a FROM t WHERE b = ? AND d = ?"),
    ("postgresql", "SELECT $$x$$, $tag$ it's $$ $tag$, E'it\\'s', U&'d\\0061', B'01', $1, a::int, b[1:2] FROM \"My\"\"T\"",
     "SELECT", 'My"T', 'SELECT My"T', 'SELECT ?, ?, ?, ?, ?, $1, a::int, b[?:?] FROM "My""T"'),
    ("postgresql", "/* a /* 'b' */ c */ SELECT 'C:\\' -- 'x'\nFROM t", "SELECT", "t", "SELECT t", "SELECT ? FROM t"),
    ("postgresql", 'INSERT INTO "public"."Orders" ("a", "b") VALUES ($1, $2)',
     "INSERT", "public.Orders", "INSERT public.Orders", 'INSERT INTO "public"."Orders" ("a", "b") VALUES ($1)'),
    # MySQL.
    ("mysql", "SELECT \"it\\\"s\", 'it\\'s', `a``b` FROM `db`.`t` # 'c'\n WHERE a = 5--3 -- x\n AND b = 1",
     "SELECT", "db.t", "SELECT db.t", "SELECT ?, ?, `a``b` FROM `db`.`t` WHERE a = ?--? AND b = ?"),
    ("mysql", "/*!40101 SET NAMES 'utf8' */; /* x */ UPDATE a, b SET a.x = 1",
     "SET", "", "SET; UPDATE a b", "SET NAMES ? ; UPDATE a, b SET a.x = ?"),
    ("mysql", "SELECT 1 --\x01 it's\n, 'secret' FROM t", "SELECT", "t", "SELECT t", "SELECT ? , ? FROM t"),
    ("mariadb", "SELECT 'it\\'s', a FROM t # x", "SELECT", "t", "SELECT t", "SELECT ?, a FROM t"),
    # SQLite: "x" after an operator may be a string there.
    ("sqlite", 'SELECT [my col], "b", `c` FROM [my table] WHERE "name" = "secret" AND "d" IN ("secret", 1)',
     "SELECT", "my table", "SELECT [my table]",
     'SELECT [my col], "b", `c` FROM [my table] WHERE "name" = ? AND "d" IN (?)'),
    ("sqlite", "REPLACE INTO t VALUES (?1, :a, $b)", "REPLACE", "t", "REPLACE t", "REPLACE INTO t VALUES (?1)"),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "statement", "operation", "table", "summary", "text"), CASES)
def test_statement_is_read(dialect: str, statement: str, operation: str, table: str, summary: str, text: str) -> None:
    found = describe(statement, dialect)
    assert (found.operation, found.table, found.summary, found.text) == (operation, table, summary, text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1][:30])
def test_masked_text_is_masked_once(case: tuple[str, ...]) -> None:
    """What is masked already reads the same: operation, table and summary do not hang on the values."""
    again = describe(case[5], case[0])
    assert (again.operation, again.table, again.summary) == case[2:5]


def test_what_is_white_space_to_python_alone_makes_no_comment_of_mysqls() -> None:
    assert describe("SELECT 1 --\xa0, 'a\nsecret' FROM t", "mysql").text == "SELECT ? -- , ? FROM t"


class TestWhatCountsAsStatement:
    def test_bytes_are_decoded(self) -> None:
        assert describe("SELECT 1 FROM käse".encode()).text == "SELECT ? FROM käse"
        assert describe(bytearray(b"SELECT \xff FROM t")).operation == "SELECT"

    def test_none_is_empty(self) -> None:
        assert describe(None).text == ""

    def test_psycopg2_composed_is_read_without_a_connection(self) -> None:
        composed = psycopg2.sql.SQL("SELECT {} FROM {} WHERE a = {} AND b = {} AND c = {}").format(
            psycopg2.sql.Identifier("u", 'x"y'),
            psycopg2.sql.Identifier("public", "orders"),
            psycopg2.sql.Literal("secret"),
            psycopg2.sql.Placeholder(),
            psycopg2.sql.Placeholder("n"),
        )
        for mask in (True, False):
            found = describe(composed, "postgresql", mask=mask)
            assert found.summary == "SELECT public.orders"
            assert found.text == 'SELECT "u"."x""y" FROM "public"."orders" WHERE a = ? AND b = %s AND c = %(n)s'

    def test_composed_that_holds_itself_ends(self) -> None:
        composed = psycopg2.sql.Composed([psycopg2.sql.SQL("SELECT 1")])
        composed.seq.append(composed)
        assert describe(composed).operation == "SELECT"

    def test_str_of_an_unknown_object_is_not_called(self) -> None:
        class Select:
            def __str__(self) -> str:
                raise AssertionError("called")

            __repr__ = __str__

        found = describe(Select())
        assert (found.operation, found.text) == ("", "Select")

    def test_object_that_only_claims_to_be_composed_is_unknown(self) -> None:
        fake = type("Composed", (), {"__module__": "psycopg2.sql"})
        assert describe(fake()).text == "Composed"

    def test_subclass_of_str_is_read_as_the_text_it_holds(self) -> None:
        class Query(str):
            def __str__(self) -> str:
                raise AssertionError("called")

            __getitem__ = __len__ = __hash__ = __str__  # type: ignore[assignment]

        assert describe(Query("SELECT 1 FROM t")).summary == "SELECT t"

    def test_lone_surrogates_do_not_reach_the_exporter(self) -> None:
        found = describe("SELECT * FROM \udcff, t\udc80")
        assert (found.text + found.summary + found.table).encode()


class TestLimits:
    def test_text_is_cut_with_dots(self) -> None:
        text = describe("SELECT " + "a, " * 2000 + "b FROM t").text
        assert len(text) <= LIMIT
        assert text.startswith("SELECT a, a") and text.endswith("...")

    def test_limit_is_an_argument(self) -> None:
        assert describe("SELECT a FROM t", limit=10).text == "SELECT..."
        assert describe("SELECT a FROM t", limit=15).text == "SELECT a FROM t"
        assert [describe("SELECT a FROM t", limit=n).text for n in (-1, 0, 2)] == ["", "", ".."]

    def test_long_list_shortens_before_the_cut(self) -> None:
        found = describe("SELECT a FROM t WHERE b IN (" + ", ".join(map(str, range(500))) + ") AND c = 1")
        assert found.text == "SELECT a FROM t WHERE b IN (?) AND c = ?"

    def test_list_cut_in_the_middle_still_shortens(self) -> None:
        texts = {describe(f"SELECT a FROM t WHERE b IN ({'1, ' * n}2)").text for n in (5000, 6000)}
        assert texts == {"SELECT a FROM t WHERE b IN (?..."}
        texts = {
            describe("INSERT INTO t VALUES " + row * n + row[:-2]).text for n in (5000, 6000) for row in ("(1, 2), ",)
        }
        assert texts == {"INSERT INTO t VALUES (?)..."}

    def test_half_a_table_is_not_named(self) -> None:
        start = "SELECT " + "'" + "x" * (LIMIT + SLACK - 20) + "' FROM "
        assert describe(start + "customers").table == ""
        assert describe("SELECT 1 FROM customers").table == "customers"

    def test_summary_is_cut_between_names(self) -> None:
        summary = describe("SELECT * FROM " + ", ".join(f"table{n:03}" for n in range(100))).summary
        assert len(summary) <= SUMMARY_LIMIT
        assert re.fullmatch(r"SELECT( table\d{3})+", summary)
        assert describe("SELECT * FROM " + "a" * 300).summary == "SELECT"

    def test_unmasked_text_keeps_literals_and_lists_on_one_line(self) -> None:
        found = describe("SELECT 'a\n  b',\n 5 -- c\n FROM t WHERE x IN (1, 2)", mask=False)
        assert found.text == "SELECT 'a\n  b', 5 FROM t WHERE x IN (1, 2)"
        assert found.summary == "SELECT t"


class TestCache:
    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sql, "_cache", sql._Cache())

    def kept(self) -> list[tuple[str, str, bool, int]]:
        return [*sql._cache.recent, *sql._cache.older]

    def test_statement_is_read_once(self) -> None:
        assert describe("SELECT 1 FROM t") is describe("SELECT 1 FROM t")

    def test_dialect_mask_and_limit_are_told_apart(self) -> None:
        statement = 'SELECT "a" FROM t'
        texts = [
            describe(statement, "mysql").text,
            describe(statement, "sqlite").text,
            describe(statement, "mysql", mask=False, limit=12).text,
        ]
        assert texts == ["SELECT ? FROM t", 'SELECT "a" FROM t', 'SELECT "a"...'[:9].rstrip() + "..."]

    def test_entries_are_bounded(self) -> None:
        for n in range(3 * sql.CACHE_ENTRIES):
            describe(f"SELECT {n}")
        assert len(self.kept()) <= sql.CACHE_ENTRIES

    def test_characters_are_bounded(self) -> None:
        for n in range(1000):
            describe(f"SELECT {n}, '" + "x" * 4000)
        assert sum(len(key[0]) for key in self.kept()) <= sql.CACHE_CHARACTERS

    def test_huge_statement_is_not_kept_whole(self) -> None:
        huge = "SELECT '" + "x" * 10_000_000 + "'"
        assert describe(huge) is describe(huge)
        assert max(len(key[0]) for key in self.kept()) <= LIMIT + SLACK + 1

    def test_statement_in_use_survives_the_change_of_generations(self) -> None:
        first = describe("SELECT 1 FROM t")
        for n in range(2 * sql.CACHE_ENTRIES):
            describe(f"SELECT {n}")
            if n % 100 == 0:
                assert describe("SELECT 1 FROM t") is first

    def test_failure_of_ours_is_contained(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(containment, "failures", {})
        monkeypatch.setattr(sql, "_read", lambda *_: 1 / 0)
        assert describe("SELECT 1").text == ""
        assert "sql.describe" in containment.failures
        assert capfd.readouterr().err.count("\n") == 1


# -- whatever comes ---------------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from([" ", "\n", "\x00", "\ud800", " INTO "]) | st.sampled_from(
    (
        "' \" ` \\ $ $$ $a$ /* */ -- # ( ) [ ] , ; . : :: ? %s %(a)s %( @ SELECT FROM WITH AS IN VALUES INSERT UPDATE "
        "JOIN CREATE TABLE t E' U&' x' q'[ 1 0x 1e é /*! = - CALL"
    ).split(" ")
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(FRAGMENTS, max_size=60).map("".join) | st.text(max_size=200),
    st.sampled_from([*DIALECTS, "oracle"]),
    st.booleans(),
)
def test_any_text_is_read_without_failure(statement: str, dialect: str, mask: bool) -> None:
    before = dict(containment.failures)
    found = describe(statement, dialect, mask=mask, limit=100)
    assert containment.failures == before
    assert len(found.text) <= 100 and len(found.summary) <= SUMMARY_LIMIT
    assert found.text.encode() is not None


SECRET = st.lists(
    st.sampled_from(
        ["zqxj", "zqxj ", "''", "--", "/*", "*/", ";", "\n", "$", '"', "`", "(", ",", "FROM ", "#", "[", "?", "é"]
    ),
    min_size=1,
    max_size=12,
).map("".join)

QUOTED = {  # how a literal with any content is written
    "": [lambda s: "'" + s.replace("''", "x") .replace("'", "''") + "'"],
    "postgresql": [
        lambda s: "'" + s.replace("'", "''") + "'",
        lambda s: "E'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'",
        lambda s: "$zq$" + s + "$zq$",
        lambda s: "U&'" + s.replace("'", "''") + "'",
    ],
    "mysql": [
        lambda s: "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'",
        lambda s: '"' + s.replace("\\", "\\\\").replace('"', '""') + '"',
    ],
    "sqlite": [lambda s: "'" + s.replace("'", "''") + "'"],
}  # fmt: skip

AROUND = [
    "SELECT a FROM t WHERE b = {} AND c = {}",
    "INSERT INTO t (a, b) VALUES ({}, f({})), ({}, 5)",
    "CALL p({},{})",
]
AROUND += [
    "SELECT {}::text, a FROM t WHERE b IN ({}, {}) ",
    "UPDATE t SET a={} /* {} */ WHERE b LIKE {} -- x",
    "SET x = {}",
]


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(DIALECTS), st.sampled_from(AROUND))
def test_no_literal_is_shown(data: st.DataObject, dialect: str, around: str) -> None:
    def literal() -> str:
        content = (
            "zqxj"
            + data.draw(SECRET)
            + data.draw(st.sampled_from(["", "\\\\", "\\n"] if dialect in ("mysql",) else [""]))
        )
        return str(data.draw(st.sampled_from(QUOTED[dialect]))(content))

    statement = around
    while "{}" in statement.replace("/* {} */", ""):
        statement = statement.replace("/* {} */", "").replace("{}", literal(), 1)
    found = describe(statement, dialect)
    assert "zqxj" not in found.text + found.summary + found.table
    assert around.startswith(found.operation) and found.operation
    # and what stands around it is there: the mask did not swallow the statement
    assert found.text.count("?") >= 1 and "--" not in found.text


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**12) | st.floats(0, allow_nan=False, allow_infinity=False), st.sampled_from(DIALECTS))
def test_no_number_is_shown(number: float, dialect: str) -> None:
    text = describe(
        f"SELECT a,{number!r} FROM t WHERE b={number!r} AND c IN ({number!r},-{number!r}) LIMIT {number!r}", dialect
    ).text
    assert text == "SELECT a,? FROM t WHERE b=? AND c IN (?) LIMIT ?"


def of_itself(module: Any) -> Any:
    composed = module.Composed([module.SQL("SELECT 1")])
    parts = composed._wrapped if hasattr(composed, "_wrapped") else composed._obj
    parts.extend([composed] * 5_000)
    return composed


HOSTILE = {
    "quotes": "'" * 10_000,
    "odd quotes": "'a" * 5_000 + "'",
    "double quotes": '"' * 9_999,
    "doubled within": '"' + 'a""' * 3_000,
    "backticks": "`a" * 5_001,
    "backslashes": "'" + "\\" * 9_999,
    "escaped quotes": "E'" + "\\'" * 5_000,
    "parentheses": "(" * 10_000,
    "nested lists": "SELECT a FROM t WHERE b IN " + "((1), " * 2_000,
    "closed parentheses": ")" * 10_000,
    "deep selects": "(SELECT a FROM " * 10_000,
    "comments": "/*" * 5_000,
    "comments closed": "/**/" * 2_500,
    "comment ends": "*/" * 5_000,
    "dashes": "-" * 10_000,
    "dollars": "$" * 9_999,
    "dollar tags": "$a" * 5_000,
    "one long tag": "$" + "a" * 5_000 + "$" + "$a" * 2_000,
    "percent": "%(a" * 3_000,
    "percent name": "%(" + "a" * 900,
    "brackets": "[a" * 5_000,
    "bracket name": "[" + "a " * 5_000,
    "oracle quotes": "q'[" * 3_000,
    "digits": "1" * 10_000,
    "exponents": "1e" * 5_000,
    "dots": "a." * 5_000,
    "colons": ":" * 10_000,
    "words": "a" * 10_000,
    "white space": " " * 10_000,
    "statements": "SELECT a FROM t;" * 600,
    "rows": "INSERT INTO t VALUES " + "(1)," * 2_500,
    "names": "SELECT * FROM " + "t," * 4_000,
    "with": "WITH a AS (" * 900,
    "quotes in brackets": "['" * 5_000,
    "odd quotes in brackets": "['a'" * 3_000,
    "hashes": "#" * 10_000,
    "hashes and quotes": "#'a'" * 3_000,
    "triple quotes": "'''" * 3_000,
    "continued strings": "E'a' \n" * 2_000,
    "continued by comments": "E'a' --\n" * 1_500 + "-- " * 1_000,
    "white space behind a string": "E'a'" + " " * 10_000,
    "marks": "q'a" * 3_000,
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_cut_into_at_most_one_token_a_character(name: str, dialect: str) -> None:
    """Read whole, far beyond the limit of real use: tokens do not overlap, so their number and length are the text's at most."""
    before = dict(containment.failures)
    statement = HOSTILE[name]
    seen = position = 0
    for _, token, _, end in dialects.DIALECTS.get(dialect, dialects.GENERIC).tokens(statement):
        assert end - len(token) >= position
        position = end
        seen += len(token)
    assert seen <= len(statement)
    describe(statement, dialect, limit=200_000)
    assert containment.failures == before


class Query(str):
    """A program's own subclass of str."""


def ten_megabytes() -> str:
    return "SELECT 'only the head', " + "a, " * 3_300_000


HUGE: dict[str, Callable[[], object]] = {
    "str": ten_megabytes,
    "a subclass of str": lambda: Query(ten_megabytes()),
    "bytes": lambda: ten_megabytes().encode(),
    "bytearray": lambda: bytearray(ten_megabytes().encode()),
}
for module in (psycopg.sql, psycopg2.sql):
    HUGE |= {
        f"{name} of {module.__name__}": partial(make, module)
        for name, make in {
            "SQL": lambda s: s.SQL(ten_megabytes()),
            "Composed": lambda s: s.SQL("{}, {}").format(s.SQL(ten_megabytes()), s.Literal(ten_megabytes())),
            "Composed of many": lambda s: s.Composed([s.SQL("a, ")] * 3_300_000),
            "Composed of many that are long": lambda s: s.Composed([s.SQL(ten_megabytes())] * 5_000),
            "Composed of itself": of_itself,
            "Identifier": lambda s: s.SQL("SELECT {}").format(s.Identifier(ten_megabytes())),
            "Placeholder": lambda s: s.SQL("SELECT {}").format(s.Placeholder(ten_megabytes())),
        }.items()
    }


@pytest.mark.parametrize("name", HUGE)
def test_only_the_head_of_a_statement_is_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 MB cost no more than the cut: so many characters are read, and nothing of the size of the whole is ever made."""
    looked_at: list[int] = []
    tokens = dialects.Dialect.tokens
    monkeypatch.setattr(
        dialects.Dialect, "tokens", lambda self, text: looked_at.append(len(text)) or tokens(self, text)
    )
    monkeypatch.setattr(sql, "_cache", sql._Cache())
    describe("SELECT 1", "postgresql")  # compiles the pattern
    statement = HUGE[name]()
    gc.collect()
    tracemalloc.start()
    try:
        found = describe(statement, "postgresql", limit=500)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert looked_at[1:] == [500 + SLACK] or name.startswith("Composed of itself")
    assert most < 500_000
    assert len(found.text) <= 500


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("opening", ["'", "E'", "$$", "$a$", '"', "`", "[", "q'[", "/*", "--", "x'", "N'", "U&'"])
def test_string_that_does_not_end_is_masked_to_the_end(dialect: str, opening: str) -> None:
    ours = {
        "$$": ["postgresql"],
        "$a$": ["postgresql"],
        "q'[": [""],
        "[": ["sqlite"],
        "--": ["", "postgresql", "sqlite"],
        "`": ["", "mysql", "sqlite"],
    }
    if dialect in ours.get(opening, DIALECTS):
        assert "zqxj" not in describe(f"SELECT a FROM t WHERE b = {opening}zqxj 5, zqxj", dialect).text


def test_importing_compiles_no_pattern_and_loads_nothing_heavy() -> None:
    """Four tokenizers take 2 ms to compile: the first statement of a dialect pays, on the export thread."""
    code = (
        "import sys, re, __future__; before = set(sys.modules); import autotrace.sql.dialects as s;"
        "assert not [d for d in (*s.DIALECTS.values(), s.GENERIC) if d.pattern];"
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('autotrace')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
