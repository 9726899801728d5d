"""AUTOTRACE_TRACE_CONNECTS and AUTOTRACE_TRACE_TRANSACTIONS with each driver, each in a process of its own."""

from __future__ import annotations

import pytest

from test_services.postgresql import PostgreSQL
from tests.programs import on_path, python

START = """
import asyncio, sys, opentelemetry.trace
from autotrace.tracing.span import Span
dsn, url, host, port = sys.argv[1:]
spans = []; Span.sink = staticmethod(spans.append)
"""
END = """
for span in spans: print(span.name, *(["error"] if span.failure else []))
assert all(span.shared.facts.get("instance") for span in spans), "the facts of a connect are the connection's"
assert all(span.start_time <= span.end_time for span in spans)
"""

# A driver: a program, and the spans it makes in order; `connect` and the ends of transactions only by the settings.
PROGRAMS = {
    "psycopg2": (
        """
import psycopg2
conn = psycopg2.connect(dsn)
with conn, conn.cursor() as cur: cur.execute("select 1")
try:
    with conn, conn.cursor() as cur: cur.execute("select 2/0")
except psycopg2.Error: pass
conn.commit(); conn.rollback()
""",
        "connect, SELECT, commit, SELECT error, rollback, commit, rollback",
    ),
    "psycopg2, asynchronous": (
        """
import psycopg2, psycopg2.extras
conn = psycopg2.connect(dsn, async_=True)
assert spans == [], "it has only begun"
psycopg2.extras.wait_select(conn)
cur = conn.cursor(); cur.execute("select 1")
psycopg2.extras.wait_select(conn)
try: psycopg2.extras.wait_select(psycopg2.connect("host=127.0.0.1 port=1 user=app dbname=x", async_=True))
except psycopg2.Error: pass
""",
        "connect, SELECT, connect error",
    ),
    "sqlite3": (
        """
import sqlite3
conn = sqlite3.connect(":memory:")
with conn: conn.execute("select 1")
try:
    with conn: conn.execute("select")
except sqlite3.Error: pass
conn.commit(); conn.rollback()
""",
        "connect, SELECT, commit, SELECT error, rollback, commit, rollback",
    ),
    "psycopg": (
        """
import psycopg
with psycopg.connect(dsn) as conn:
    conn.execute("select 1")
    conn.commit(); conn.rollback()
    with conn.transaction(): conn.execute("select 2")
    try:
        with conn.transaction():
            with conn.transaction(): conn.execute("select 3")
            with conn.transaction(force_rollback=True): conn.execute("select 4")
            1/0
    except ZeroDivisionError: pass
""",
        "connect, SELECT, commit, rollback, SELECT, commit, SELECT, release savepoint, "
        "SELECT, rollback to savepoint, rollback, commit",
    ),
    "psycopg, awaited": (
        """
import psycopg
async def main():
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        await conn.execute("select 1")
        await conn.commit(); await conn.rollback()
        async with conn.transaction(): await conn.execute("select 2")
asyncio.run(main())
""",
        "connect, SELECT, commit, rollback, SELECT, commit, commit",
    ),
    "asyncpg": (
        """
import asyncpg
async def main():
    conn = await asyncpg.connect(url)
    async with conn.transaction(): await conn.execute("select 1")
    try:
        async with conn.transaction():
            async with conn.transaction(): await conn.execute("select 2")
            1/0
    except ZeroDivisionError: pass
    transaction = conn.transaction()
    await transaction.start(); await transaction.rollback()
    await conn.close()
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool: await pool.fetch("select 3")
asyncio.run(main())
""",
        "connect, SELECT, commit, SELECT, release savepoint, rollback, rollback, connect, SELECT",
    ),
    "pg8000": (
        """
import pg8000.dbapi, pg8000.legacy, pg8000.native
for interface in (pg8000.dbapi, pg8000.legacy):
    conn = interface.connect("app", host, "app", int(port))
    conn.cursor().execute("select 1")
    conn.commit()
    conn.cursor().execute("select 2")
    conn.rollback()
pg8000.native.Connection("app", host, "app", int(port)).run("commit")
""",
        "connect, SELECT, commit, SELECT, rollback, connect, SELECT, commit, SELECT, rollback, connect, COMMIT",
    ),
    "aiosqlite": (
        """
import aiosqlite
async def main():
    async with aiosqlite.connect(":memory:") as db:
        await db.execute("select 1")
        await db.commit(); await db.rollback()
asyncio.run(main())
""",
        "connect, SELECT, commit, rollback",
    ),
}
BY_SETTING = {
    "AUTOTRACE_TRACE_CONNECTS": {"connect"},
    "AUTOTRACE_TRACE_TRANSACTIONS": {"commit", "rollback", "release savepoint", "rollback to savepoint"},
}


@pytest.mark.parametrize("settings", [(), *((name,) for name in BY_SETTING), tuple(BY_SETTING)], ids=", ".join)
@pytest.mark.parametrize("driver", PROGRAMS)
def test_connects_and_ends_of_transactions_have_spans_if_they_are_asked_for(
    driver: str, settings: tuple[str, ...], postgresql: PostgreSQL
) -> None:
    program, spans = PROGRAMS[driver]
    where = (postgresql.dsn, postgresql.url, postgresql.host, str(postgresql.port))
    done = on_path(*python(START + program + END), *where, **dict.fromkeys(settings, "true"))
    assert done.stderr == ""
    hidden = {name for setting, names in BY_SETTING.items() if setting not in settings for name in names}
    assert done.stdout.splitlines() == [name for name in spans.split(", ") if name not in hidden]
