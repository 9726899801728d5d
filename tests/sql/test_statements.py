"""autotrace.sql: the operation, the table, the summary and the masked text of statements in every dialect."""

from __future__ import annotations

import subprocess
import sys

import psycopg2.sql
import pytest

from autotrace.sql import describe

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
    # A name or an array, a comment or a name or an operator, a comment in a comment: masked where it depends on that
    # what follows.
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
    # SQLite: "x" may be a string wherever its grammar takes a value.
    ("sqlite", 'SELECT [my col], "b", `c` FROM [my table] WHERE "name" = "secret" AND "d" IN ("secret", 1)',
     "SELECT", "my table", "SELECT [my table]",
     "SELECT [my col], ?, `c` FROM [my table] WHERE ? = ? AND ? IN (?)"),
    ("sqlite", 'SELECT coalesce("t"."a", "secret") AS "a b", "secret" FROM "t" "u" WHERE NOT "secret"', "SELECT", "t",
     "SELECT t", 'SELECT coalesce("t"."a", ?) AS "a b", ? FROM "t" "u" WHERE NOT ?'),
    ("sqlite", 'INSERT INTO "t" ("a", "b") VALUES ("secret", 1) RETURNING "secret"', "INSERT", "t", "INSERT t",
     'INSERT INTO "t" ("a", "b") VALUES (?) RETURNING ?'),
    ("sqlite", 'UPDATE "t" SET "a" = "secret", "b" = f(1, "secret") WHERE "secret" LIKE "secret"', "UPDATE", "t",
     "UPDATE t", 'UPDATE "t" SET "a" = ?, "b" = f(?, ?) WHERE ? LIKE ?'),
    ("sqlite", 'CREATE TABLE "t" ("a" integer, "b" text DEFAULT "secret")', "CREATE TABLE", "t", "CREATE TABLE t",
     'CREATE TABLE "t" ("a" integer, "b" text DEFAULT ?)'),
    ("sqlite", 'ALTER TABLE "t" RENAME COLUMN "a" TO "b"', "ALTER TABLE", "t", "ALTER TABLE t",
     'ALTER TABLE "t" RENAME COLUMN "a" TO "b"'),
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


def test_importing_compiles_no_pattern_and_loads_nothing_heavy() -> None:
    """Four tokenizers take 2 ms to compile: the first statement of a dialect pays, on the export thread."""
    code = (
        "import sys, re, __future__; before = set(sys.modules); import autotrace.sql.dialects as s;"
        "assert not [d for d in (*s.DIALECTS.values(), s.GENERIC) if d.pattern];"
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('autotrace')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
