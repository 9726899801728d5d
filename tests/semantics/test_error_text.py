"""Texts of exceptions lose what databases, URLs and connection strings put into them, and keep what names things."""

from __future__ import annotations

import time

import pytest

from autotrace.semantics import error_text
from autotrace.semantics.error_text import masked, masked_stack

SECRET = "S3cret"

KEPT = [
    ("psycopg.errors.UndefinedTable", 'relation "nothing" does not exist'),
    ("psycopg.errors.NotNullViolation", 'null value in column "n" of relation "t" violates not-null constraint'),
    (
        "psycopg.OperationalError",
        'connection to server at "127.0.0.1", port 1 failed: Connection refused\n\tIs the server',
    ),
    ("pymysql.err.ProgrammingError", "(1146, \"Table 'app.nothing' doesn't exist\")"),
    ("pymysql.err.OperationalError", "(1054, \"Unknown column 'x' in 'field list'\")"),
    ("mysql.connector.errors.DatabaseError", "2003: Can't connect to MySQL server on '127.0.0.1:1' (Errno 111)"),
    ("MySQLdb.OperationalError", "(1045, \"Access denied for user 'app'@'localhost' (using password: YES)\")"),
    ("sqlite3.IntegrityError", "UNIQUE constraint failed: users.email"),
    (
        "oracledb.exceptions.DatabaseError",
        "ORA-00942: table or view does not exist\nHelp: https://docs.oracle.com/ora-00942/",
    ),
    ("builtins.KeyError", "'name'"),
    ("builtins.ValueError", "time data '2020' does not match format '%d'; near miss"),
]


@pytest.mark.parametrize(("kind", "text"), KEPT)
def test_names_stay(kind: str, text: str) -> None:
    assert masked(text, kind) == text


SAID = [
    ("psycopg2.errors.UniqueViolation", 'constraint "k"\nDETAIL:  Key (email)=(S3cret) already exists.\n', "Key (email)=(?) already"),
    ("psycopg.errors.ForeignKeyViolation", "x\nDETAIL:  Key (a, b)=(1, S3)c(ret) is not present in table \"t\".", 'in table "t"'),
    ("psycopg.errors.ExclusionViolation", "x\nDETAIL:  Key (r)=(S3cret) conflicts with existing key (r)=(S3cret).", "Key (r)=(?) conflicts"),
    ("psycopg.errors.UniqueViolation", "x\nDÉTAIL : La clé « (e)=(S3cret) » existe déjà.", "x"),
    ("psycopg.errors.InvalidTextRepresentation", 'invalid input syntax for type integer: "S3cret"\nLINE 1: select \'S3cret\'\n   ^', "type integer: ?"),
    ("psycopg.errors.InvalidTextRepresentation", "ungültige Eingabesyntax für Typ integer: »S3cret«\nZEILE 1: select 'S3cret'", "integer: ?"),
    ("psycopg.errors.DataException", 'invalid input syntax for type json\nDETAIL:  Token "S3cret" is invalid.\nCONTEXT:  JSON data: S3cret', "type json"),
    ("psycopg.errors.SyntaxError", 'unterminated quoted string at or near "\'S3cret"', "at or near ?"),
    ("psycopg.errors.InvalidTextRepresentation", 'invalid input value for enum color: "it\'s S3cret "', "enum color: ?"),
    ("asyncpg.exceptions.DataError", "invalid input for query argument $1: S3cret (an integer is required)", "argument $1: ?"),
    ("pg8000.exceptions.DatabaseError", "{'S': 'ERROR', 'C': '23505', 'M': 'violates \"k\"', 'D': 'Key (e)=(S3cret) already exists.'}", "23505"),
    ("pg8000.exceptions.DatabaseError", "{'S': 'ERROR', 'M': 'S3cret", "?"),
    ("pymysql.err.IntegrityError", "(1062, \"Duplicate entry 'it's S3cret' for key 't.email'\")", "for key 't.email'"),
    ("pymysql.err.ProgrammingError", "(1064, \"the right syntax to use near 'x 'S3cret'' at line 1\")", "near ? at line 1"),
    ("pymysql.err.DataError", "(1366, \"Incorrect integer value: 'S3cret' for column `t`.`n` at row 1\")", "column `t`.`n` at row 1"),
    ("mysql.connector.errors.DataError", "1292 (22007): Truncated incorrect INTEGER value: 'S3cret'", "value: ?"),
    ("sqlite3.OperationalError", 'near "S3cret": syntax error', "near ?: syntax error"),
    ("sqlite3.OperationalError", 'unrecognized token: "\'S3cret"', "unrecognized token"),
    ("sqlite3.OperationalError", 'no such column: "S3cret" - should this be a string literal in single-quotes?', "no such column: ?"),
    ("oracledb.exceptions.IntegrityError", "ORA-00001: unique\nORA-03301: row with column values (E:'S3cret', N:5) already exists", "column values (?)"),
    ("pyodbc.IntegrityError", "('23000', '[23000] [Microsoft] The duplicate key value is (S3cret). (2627)')", "value is (?)"),
    ("pyodbc.DataError", "('22018', \"[22018] Conversion failed when converting the varchar value 'S3cret' to data type int.\")", "22018"),
    ("_duckdb.ConstraintException", 'Duplicate key "e: S3cret" violates primary key constraint.', "violates primary key"),
    ("sqlalchemy.exc.IntegrityError", "(sqlite3.IntegrityError) failed: t.e\n[SQL: insert into t values ('S3cret')]\n[parameters: ('S3cret',)]", "[SQL: ?]"),
    ("django.db.utils.IntegrityError", "(1062, \"Duplicate entry 'S3cret' for key 'PRIMARY'\")", "(1062, "),
    ("app.SaveFailed", "cannot save: duplicate\nDETAIL:  Key (email)=(S3cret) already exists.", "cannot save: duplicate"),
    ("app.SaveFailed", "cannot save: Duplicate entry 'S3cret' for key 'k'", "for key 'k'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "shown"), SAID)
def test_values_that_a_database_quotes_are_masked(kind: str, text: str, shown: str) -> None:
    found = masked(text, kind)
    assert "S3" not in found
    assert "cret" not in found
    assert shown in found
    assert masked_stack(f"Traceback (most recent call last):\n{kind}: {text}", kind).endswith(found)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+asyncpg://joe:S3cret@127.0.0.1:1/db",
        "cannot connect to postgresql://joe:S3/c@r?S3cret@host:1/db now",
        "https://joe:S3cret@host/a@b: 404",
        "mongodb://S3cret@host",
        "Max retries exceeded with url: /a?b=1&access_token=S3cret&c=2 (Caused by x)",
        "host=h password=S3cret dbname=d",
        "host=h password='S3 S3cret' dbname=d",
        "Driver={x};UID=joe;PWD={a;S3cret};Server=h",
        "{'user': 'joe', 'password': 'S3cret'}",
        '{"user": "joe", "api_key": "S3cret", "n": 1}',
        "connect(user='joe', passwd=\"S3cret\")",
        "login failed: client-secret=S3cret",
    ],
)
def test_passwords_are_masked_in_every_text(text: str) -> None:
    for kind in ("builtins.ValueError", "psycopg.ProgrammingError", ""):
        found = masked(text, kind)
        assert "S3" not in found
        assert "cret" not in found.replace("secret", "")


def test_what_is_no_secret_stays() -> None:
    for text in ("GET http://host:80/a?b=c failed", "https://host/@joe", "a=1 and b: 'x'", "11:59:00", "x = y"):
        assert masked(text, "builtins.ValueError") == text


def test_any_error_that_leaves_a_call_on_a_database_is_masked() -> None:
    text = "invalid literal for int() with base 10: 'S3cret'"
    assert masked(text, "builtins.ValueError") == text
    assert masked(text, "builtins.ValueError", database=True) == "invalid literal for int() with base 10: ?"


def test_the_lines_of_a_stack_stay() -> None:
    stack = 'Traceback (most recent call last):\n  File "/a.py", line 1, in f\n    connect("x", near="y")\nK: '
    assert masked_stack(f"{stack}near 'S3cret'", "K") == f"{stack}near ?"
    chained = 'sqlite3.OperationalError: near "S3cret": syntax error\n\nDuring handling of it:\n\n'
    assert "S3cret" not in masked_stack(chained + stack + "x", "K")


def test_the_setting_leaves_texts_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_text, "enabled", False)
    for kind, text, _ in SAID:
        assert masked(text, kind) == text
        assert masked_stack(text, kind) == text


@pytest.mark.parametrize(
    "piece",
    [
        "'",
        '"',
        "' for key 'a' ",
        "x='",
        "://",
        ")=(",
        "a:'",
        "\nA: ",
        "(1, '",
        "`",
        "value (",
        "[SQL: ",
        "a@",
        "{",
        "=(",
    ],
)
def test_hostile_texts_cost_little(piece: str) -> None:
    began = time.process_time()
    masked(piece * (100_000 // len(piece)), "psycopg.Error")
    masked_stack(piece * (8192 // len(piece)), "psycopg.Error")
    assert time.process_time() - began < 0.5
