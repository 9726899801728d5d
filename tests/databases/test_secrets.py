"""A secret in a parameter, a literal, a DSN or a URL is in nothing that is exported of its span, nor of the spans above
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import aiosqlite
import asyncpg
import duckdb
import mysql.connector
import pg8000.dbapi
import psycopg
import psycopg2
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace

from autotrace.export.jaeger import encoder
from autotrace.semantics import span_reader
from test_services.mariadb import MariaDB
from test_services.postgresql import PostgreSQL
from tests.recorded import Recorded, record

Connect = Callable[[PostgreSQL, MariaDB], Any]

PYFORMAT: dict[str, Connect] = {
    "psycopg": lambda postgresql, _: psycopg.connect(postgresql.dsn, autocommit=True),
    "psycopg2": lambda postgresql, _: _psycopg2(postgresql.dsn),
    "pg8000": lambda postgresql, _: _pg8000(postgresql),
    "pymysql": lambda _, mariadb: pymysql.connect(**_of(mariadb)),
    "mysql.connector": lambda _, mariadb: mysql.connector.connect(**_of(mariadb), use_pure=True),
    "mysql.connector in C": lambda _, mariadb: mysql.connector.connect(**_of(mariadb)),
}
QMARK: dict[str, Connect] = {
    "sqlite3": lambda *_: sqlite3.connect(":memory:"),
    "duckdb": lambda *_: duckdb.connect(),
}
STATEMENTS = (
    "insert into secrets values ({}, 1)",
    "insert into secrets values ({}, 9)",
    "insert into secrets values (1, {})",
    "select cast({} as integer)",
    "select wrong from secrets where e = {}",
    "selct {}",
    "update secrets set e = {}",
    "select nofun({})",
    "select * from secrets where e in ({}, 2",
)
SECRETS = st.tuples(
    st.sampled_from(("", "it's ", 'a" ', "a'b' ", "x)=(", "1, ")), st.sampled_from(("", "'", '"', ")", "\\", "\n", " "))
)


def _of(server: MariaDB) -> dict[str, Any]:
    names = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return {**names, "database": server.database, "autocommit": True}


def _psycopg2(dsn: str) -> Any:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection


def _pg8000(server: PostgreSQL) -> Any:
    connection = pg8000.dbapi.connect(server.user, host=server.host, port=server.port, database=server.database)
    connection.autocommit = True
    return connection


def exported(recorded: Recorded) -> str:
    """All that exporters read, in both conventions."""
    before, shown = span_reader.convention, []
    try:
        for span_reader.convention in ("opentracing", "otel"):
            for span in recorded:
                shown += [span.name, encoder._all_tags(span), span_reader.events(span), span_reader.status_text(span)]
    finally:
        span_reader.convention = before
    return str(shown)


def quoted(secret: str) -> str:
    return "'" + secret.replace("\\", "\\\\").replace("'", "''") + "'"


@pytest.mark.parametrize("name", [*PYFORMAT, *QMARK])
def test_of_a_statement(name: str, postgresql: PostgreSQL, mariadb: MariaDB) -> None:
    connection = {**PYFORMAT, **QMARK}[name](postgresql, mariadb)
    mark = "?" if name in QMARK else "%s"
    create = "create temporary table secrets (e varchar(20) primary key, n integer not null, check (n < 5))"
    connection.cursor().execute(create)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(SECRETS)
    def check(around: tuple[str, str]) -> None:
        secret = f"{around[0]}S3cr{around[1]}Pa55w"
        for statement in STATEMENTS:
            for arguments in ((statement.format(quoted(secret)),), (statement.format(mark), (secret,))):
                for _ in range(2):  # the second insert meets the first
                    with record() as recorded:
                        _run(connection, arguments)
                    shown = exported(recorded)
                    assert recorded, "no span"
                    assert "S3cr" not in shown, (statement, shown)
                    assert "Pa55w" not in shown, (statement, shown)

    check()
    connection.close()


def _run(connection: Any, arguments: tuple[Any, ...]) -> None:
    """In a span of the program's, which notes the error, too."""
    cursor = connection.cursor()
    tracer = trace.get_tracer("program")
    with contextlib.suppress(Exception), tracer.start_as_current_span("work"):
        cursor.execute(*arguments)
    with contextlib.suppress(Exception):
        cursor.fetchall()
    cursor.close()


DSNS = (
    "postgresql+x://joe:S3cret@127.0.0.1:1/db",
    "postgresql://joe:S3cret@[127.0.0.1:1/db",
    "postgresql://joe:S3cret@127.0.0.1:1x/db",
    "postgresql://joe:a@S3cret@127.0.0.1:1/db",
    "postgresql://joe:S3cret/x@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?password=S3cret&nothing=1",
    "host=127.0.0.1 port=1 password=S3cret",
    "host=127.0.0.1 port=1 password='S3cret",
    "host=127.0.0.1 port=1 password=a S3cret",
)
CONNECTS: dict[str, Callable[[str], Any]] = {
    "psycopg": psycopg.connect,
    "psycopg, async": lambda dsn: asyncio.run(psycopg.AsyncConnection.connect(dsn)),
    "psycopg2": psycopg2.connect,
    "asyncpg": lambda dsn: asyncio.run(asyncpg.connect(dsn)),
    "duckdb": lambda dsn: duckdb.connect(f"/no/such/folder?key={dsn}"),
    "sqlite3": lambda dsn: sqlite3.connect(f"file:/no/such/folder?key={dsn}", uri=True),
    "aiosqlite": lambda dsn: asyncio.run(_aiosqlite(dsn)),
    "pymysql": lambda dsn: pymysql.connect(host="127.0.0.1", port=1, password=dsn),
    "mysql.connector": lambda dsn: mysql.connector.connect(host="127.0.0.1", port=1, password=dsn),
}


async def _aiosqlite(dsn: str) -> None:
    await aiosqlite.connect(f"file:/no/such/folder?key={dsn}", uri=True)


@pytest.mark.parametrize("dsn", DSNS)
@pytest.mark.parametrize("name", CONNECTS)
def test_of_a_connect_that_fails(name: str, dsn: str, spans: Recorded) -> None:
    with contextlib.suppress(Exception), trace.get_tracer("program").start_as_current_span("work"):
        CONNECTS[name](dsn)
    assert spans
    assert "S3cret" not in exported(spans)
