"""A program: runs the cases of *_cases.txt, one file a driver, and prints their results. Imports nothing of ours."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    name: str
    spans: int
    """how many the agent makes in it"""
    snippet: str
    """its last line is the value that is compared"""


def cases(library: str) -> list[Case]:
    """The table `<library>_cases.txt`: `# spans | name` and the snippet; `##` starts a comment."""
    text = Path(__file__).with_name(f"{library}_cases.txt").read_text(encoding="utf-8")
    text = re.sub(r"^##.*\n", "", text, flags=re.MULTILINE)
    rows = re.split(r"^# (\d+) \| (.*)\n", text, flags=re.MULTILINE)[1:]
    return [Case(rows[n + 1], int(rows[n]), rows[n + 2].strip()) for n in range(0, len(rows), 3)]


LIBRARIES = ("psycopg2", "sqlite3", "psycopg", "asyncpg", "pg8000", "aiosqlite", "pyodbc", "duckdb", "oracledb")
TABLES = {library: cases(library) for library in LIBRARIES}


def described(kind: type) -> tuple[str, str, str]:
    return kind.__module__, kind.__qualname__, kind.__name__


def refused(call: Any) -> str:
    """The exception that ends a call. Of `object has no attribute` only the kind: its text, by CPython, names types."""
    try:
        return f"not refused: {call()!r}"
    except Exception as error:
        own = isinstance(error, AttributeError) or "weak reference" in str(error)
        return type(error).__name__ + ("" if own else f": {error}")


def run(snippet: str, names: dict[str, Any]) -> dict[str, Any]:
    """{value, type} of the last line, or {error, text} of what it raised; and how many spans were made."""
    tree = ast.parse(snippet)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    try:
        exec(compile(tree, "<case>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<case>", "eval"), names)
        kind = type(value)
        return {"value": scrubbed(repr(value)), "type": f"{kind.__module__}.{kind.__qualname__}"}
    except Exception as error:
        kind = type(error)
        return {
            "error": f"{kind.__module__}.{kind.__qualname__}",
            "text": scrubbed(str(error)),
            "args": len(error.args),
        }


def scrubbed(text: str) -> str:
    """Without addresses in memory, names of temporary folders and schemas, numbers of connects."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    text = re.sub(r"CONNECTION_ID=[^)]*", "CONNECTION_ID=N", text)
    return re.sub(r"pg_temp_\d+", "pg_temp_N", text.replace(tempfile.gettempdir(), "/tmp"))


TABLE = "create {} table t (a int primary key, b text)"
ROWS = "insert into t values (1, 'one'), (2, 'two')"


def prelude(odbc: str) -> dict[str, Any]:
    """Everything a snippet may name; a program's ordinary imports, in an ordinary order."""
    from sqlite3 import connect as early_open  # before anything else of the two

    from psycopg2 import connect as early_connect

    names: dict[str, Any] = {"early_open": early_open, "early_connect": early_connect}
    lines = """import asyncio, gc, inspect, io, pickle, re, sqlite3, sys, threading, uuid, warnings, weakref, psycopg2
from pathlib import Path
from psycopg2 import extensions as ext, extras, pool, sql
import aiosqlite, asyncpg, psycopg, psycopg_pool, pg8000.dbapi, pg8000.legacy, pg8000.native"""
    exec(lines, names)
    if odbc:
        exec("from pyodbc import connect as early_odbc\nimport pyodbc\npyodbc.pooling = False", names)
    exec(
        "from duckdb import connect as early_duck\nimport duckdb, oracledb\n"
        "from oracledb import connect as early_oracle, connect_async as early_oracle_async",
        names,
    )
    names.update(described=described, refused=refused, odbc=odbc)
    return names


Names = dict[str, Any]


def opened_dbapi(conn: Any, temporary: bool = True) -> Names:
    cur = conn.cursor()
    cur.execute(TABLE.format("temp" if temporary else ""))
    cur.execute(ROWS)
    conn.commit()
    return {"conn": conn, "cur": cur}


def opened_duckdb(conn: Any) -> Names:
    conn.execute(TABLE.format(""))
    conn.execute(ROWS)
    return {"conn": conn, "cur": conn.cursor()}


def unconnected(kind: Any) -> Any:
    made = kind.__new__(kind)
    made._connection = made._impl = made._connect_coroutine = None
    return made


def opened_oracle(port: int) -> Names:
    quick = {"tcp_connect_timeout": 5, "retry_count": 0}
    loop = asyncio.new_event_loop()

    async def awaited(awaitable: Any) -> Any:
        return await awaitable() if callable(awaitable) else await awaitable

    return {
        "unconnected": unconnected,
        "there": f"127.0.0.1:{port}/shop",
        "nobody": "127.0.0.1:1/shop",
        "quick": quick,
        "wait": lambda awaitable: loop.run_until_complete(awaited(awaitable)),
        "loop": loop,
        "listener_only": True,
    }


def in_a_loop(common: Names, connect: Any, table: str) -> Names:
    """`wait(awaitable)` runs it to its end, in the loop of this case."""
    loop = asyncio.new_event_loop()

    async def awaited(awaitable: Any) -> Any:
        return await awaitable

    def wait(awaitable: Any) -> Any:
        return loop.run_until_complete(awaited(awaitable))

    async def opened() -> Any:
        conn = await connect()
        for statement in (table, ROWS):
            await conn.execute(statement)
        if hasattr(conn, "commit"):
            await conn.commit()
        return conn

    return {"conn": wait(opened()), "wait": wait, "loop": loop}


def opened(library: str, common: Names, dsn: str) -> Names:
    """The names of a case: an open connection `conn` with the table `t`, a cursor `cur` or a `wait`."""
    temp = TABLE.format("temp")
    words = dict(word.split("=") for word in dsn.split())
    if library == "psycopg2":
        return opened_dbapi(common["psycopg2"].connect(dsn))
    if library == "sqlite3":
        return opened_dbapi(common["sqlite3"].connect(":memory:"), temporary=False)
    if library == "psycopg":
        psycopg = common["psycopg"]

        def later() -> Names:
            names = in_a_loop(common, lambda: psycopg.AsyncConnection.connect(dsn), temp)
            common["spans"].clear()
            return names

        return {**opened_dbapi(psycopg.connect(dsn)), "later": later, "sql": psycopg.sql}
    if library == "pg8000":
        given = {"user": words["user"], "host": words["host"], "port": int(words["port"]), "database": words["dbname"]}
        pg8000 = common["pg8000"]
        return {
            **opened_dbapi(pg8000.dbapi.connect(**given)),
            "given": given,
            "native": pg8000.native.Connection(**given),
        }
    if library == "asyncpg":
        url = "postgresql://{user}@{host}:{port}/{dbname}".format(**words)
        return {**in_a_loop(common, lambda: common["asyncpg"].connect(url), temp), "url": url}
    if library == "pyodbc":
        return opened_dbapi(common["pyodbc"].connect(common["odbc"]))
    if library == "duckdb":
        return opened_duckdb(common["duckdb"].connect(":memory:", config={"threads": 1}))
    if library == "oracledb":
        return opened_oracle(common["listener"])
    return in_a_loop(common, lambda: common["aiosqlite"].connect(":memory:"), TABLE.format(""))


def close(names: Names) -> None:
    """What a case leaves open in a loop: threads and transports must not outlive it."""
    loop = names.get("loop")
    if loop is not None and names.get("listener_only"):
        loop.close()
    elif loop is not None:
        try:
            names["wait"](names["conn"].close())
        except Exception:  # the case has closed it
            pass
        loop.run_until_complete(loop.shutdown_default_executor())
        for thread in threading.enumerate():  # aiosqlite's, which answers this loop: also after a connect that failed
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join(10)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def main(dsn: str, odbc: str, listener: int) -> None:
    """Print {library: {case: outcome}} as one line of JSON, and nothing else.

    odbc: a connection string for the same server; empty: without pyodbc's cases.
    listener: the port of an Oracle listener that refuses.
    """
    spans: list[Any] = []
    common = {**prelude(odbc), "spans": spans, "listener": listener}
    tracing = sys.modules.get("autotrace.tracing.span")
    if tracing is not None:
        tracing.Span.sink = staticmethod(spans.append)  # type: ignore[attr-defined]
    outcomes: dict[str, dict[str, Any]] = {library: {} for library in TABLES if odbc or library != "pyodbc"}
    for library, found in outcomes.items():
        for name, _, snippet in TABLES[library]:
            with tempfile.TemporaryDirectory(prefix="case-") as folder:
                own = {**common, "dsn": dsn, "folder": Path(folder), **opened(library, common, dsn)}
                spans.clear()
                outcome = run(snippet, own)
                outcome = json.loads(json.dumps(outcome).replace(folder, "FOLDER"))
                outcome["spans"] = len(spans)
                found[name] = outcome
                close(own)
                own.clear()
    print(json.dumps({"outcomes": outcomes, "traced": tracing is not None}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
