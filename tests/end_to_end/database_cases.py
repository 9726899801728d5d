"""Runs the cases of psycopg2_cases.txt and sqlite3_cases.txt, and prints what each gave. A program; imports nothing of autotrace's."""

from __future__ import annotations

import ast
import json
import re
import sys
import tempfile
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


TABLES = {library: cases(library) for library in ("psycopg2", "sqlite3")}


def described(kind: type) -> tuple[str, str, str]:
    return kind.__module__, kind.__qualname__, kind.__name__


def refused(call: Any) -> str:
    """The exception a call ends with. `object has no attribute` is CPython's own text and names types its own way: its kind only."""
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
    """Without addresses in memory and names of temporary folders and schemas."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    return re.sub(r"pg_temp_\d+", "pg_temp_N", text.replace(tempfile.gettempdir(), "/tmp"))


TABLE = "create {} table t (a int primary key, b text)"
ROWS = "insert into t values (1, 'one'), (2, 'two')"


def prelude() -> dict[str, Any]:
    """Everything a snippet may name; a program's ordinary imports, in an ordinary order."""
    from sqlite3 import connect as early_open  # before anything else of the two

    from psycopg2 import connect as early_connect

    names: dict[str, Any] = {"early_open": early_open, "early_connect": early_connect}
    lines = """import inspect, io, pickle, re, sqlite3, threading, uuid, warnings, weakref, psycopg2
from pathlib import Path
from psycopg2 import extensions as ext, extras, pool, sql"""
    exec(lines, names)
    names.update(described=described, refused=refused)
    return names


def main(dsn: str) -> None:
    """Print {"psycopg2": {case: outcome}, "sqlite3": …} as one line of JSON, and nothing else."""
    common = prelude()
    spans: list[Any] = []
    tracing = sys.modules.get("autotrace.tracing.span")
    if tracing is not None:
        tracing.Span.sink = staticmethod(spans.append)  # type: ignore[attr-defined]
    psycopg2, sqlite3 = common["psycopg2"], common["sqlite3"]
    outcomes: dict[str, dict[str, Any]] = {"psycopg2": {}, "sqlite3": {}}
    for library, table in TABLES.items():
        for name, _, snippet in table:
            with tempfile.TemporaryDirectory(prefix="case-") as folder:
                conn = psycopg2.connect(dsn) if library == "psycopg2" else sqlite3.connect(":memory:")
                cur = conn.cursor()
                cur.execute(TABLE.format("temp" if library == "psycopg2" else ""))
                cur.execute(ROWS)
                conn.commit()
                spans.clear()
                own = {**common, "conn": conn, "cur": cur, "dsn": dsn, "folder": Path(folder), "spans": spans}
                del conn, cur
                outcome = run(snippet, own)
                outcome = json.loads(json.dumps(outcome).replace(folder, "FOLDER"))
                outcome["spans"] = len(spans)
                outcomes[library][name] = outcome
                own.clear()
    print(json.dumps({"outcomes": outcomes, "traced": tracing is not None}))


if __name__ == "__main__":
    main(sys.argv[1])
