"""A program: runs mysql_cases.txt with the given drivers, and prints the results. Imports nothing of ours."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from database_cases import Case as AioCase
from database_cases import cases as table_of
from database_cases import described, refused, run

DRIVERS = {"pymysql": {}, "MySQLdb": {}, "mysql.connector": {"use_pure": True}, "mariadb": {}}
"""name -> more arguments of connect."""
AIO = "mysql.connector.aio"
PRELUDE = "import asyncio, gc, inspect, pickle, threading, warnings, weakref"


class Case(NamedTuple):
    name: str
    spans: dict[str, int]
    """of each driver"""
    snippet: str


def cases() -> list[Case]:
    """`# spans, in a driver otherwise | name` and the snippet; `##` starts a comment."""
    text = Path(__file__).with_name("mysql_cases.txt").read_text(encoding="utf-8")
    text = re.sub(r"^##.*\n", "", text, flags=re.MULTILINE)
    rows = re.split(r"^# (\d+)((?:, in \S+ \d+)*) \| (.*)\n", text, flags=re.MULTILINE)[1:]
    found = []
    for n in range(0, len(rows), 4):
        other = dict(re.findall(r", in (\S+) (\d+)", rows[n + 1]))
        spans = {name: int(other.get(name, rows[n])) for name in DRIVERS}
        found.append(Case(rows[n + 2], spans, rows[n + 3].strip()))
    return found


def aio_cases() -> list[AioCase]:
    return table_of("mysql_aio")


def aio_outcomes(common: dict[str, Any], given: dict[str, Any], spans: list[Any]) -> dict[str, Any]:
    """Of mysql.connector.aio, each case in a loop of its own."""
    from mysql.connector import aio
    from mysql.connector.aio import connect as early

    outcomes: dict[str, Any] = {}
    for case in aio_cases():
        loop = asyncio.new_event_loop()

        async def awaited(awaitable: Any) -> Any:
            return await awaitable

        def wait(awaitable: Any, loop: asyncio.AbstractEventLoop = loop) -> Any:
            return loop.run_until_complete(awaited(awaitable))

        conn = wait(aio.connect(**given))
        cur = wait(conn.cursor())
        for statement in (
            "create temporary table t (a int primary key, b text) engine=innodb",
            "insert into t values (1, 'one'), (2, 'two')",
        ):
            wait(cur.execute(statement))
        wait(conn.commit())
        spans.clear()
        own = {**common, "aio": aio, "early": early, "given": given, "wait": wait, "conn": conn, "cur": cur}
        del cur
        outcomes[case.name] = {**run(case.snippet, own), "spans": len(spans)}
        own.clear()
        try:
            wait(conn.close())
        except Exception:  # the case has closed it, or left it in the middle
            pass
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    return outcomes


def main(port: int, names: list[str]) -> None:
    """Print {driver: {case: outcome}} as one line of JSON."""
    common: dict[str, Any] = {"described": described, "refused": refused, "early": {}}
    exec(PRELUDE, common)
    drivers = {}
    for name in names:
        drivers[name] = importlib.import_module(name)
        common["early"][name] = drivers[name].connect
    spans: list[Any] = []
    tracing = sys.modules.get("autotrace.tracing.span")
    if tracing is not None:
        tracing.Span.sink = staticmethod(spans.append)  # type: ignore[attr-defined]
    outcomes: dict[str, dict[str, Any]] = {name: {} for name in names}
    for name, driver in drivers.items():
        to = {"host": "127.0.0.1", "port": port, "user": "app", "password": "pw", "database": "app"}
        given = {**to, **DRIVERS[name]}
        mark = "?" if driver.paramstyle == "qmark" else "%s"
        for case in cases():
            conn = driver.connect(**given)
            cur = conn.cursor()
            cur.execute("create temporary table t (a int primary key, b text) engine=innodb")
            cur.execute("insert into t values (1, 'one'), (2, 'two')")
            conn.commit()
            spans.clear()
            own = {**common, "driver": driver, "name": name, "given": given, "mark": mark, "conn": conn, "cur": cur}
            del conn, cur
            outcome = run(case.snippet, own)
            outcome["spans"] = len(spans)
            outcomes[name][case.name] = outcome
            own.clear()
    to = {"host": "127.0.0.1", "port": port, "user": "app", "password": "pw", "database": "app", "ssl_disabled": True}
    outcomes[AIO] = aio_outcomes(common, to, spans)
    print(json.dumps({"outcomes": outcomes, "traced": tracing is not None}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
