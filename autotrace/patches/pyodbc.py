"""pyodbc: every statement of a cursor, `connection.execute`, failed connects. Not traced: catalogue functions (`cursor.tables()`).

Its classes are C's, can neither be changed nor chosen, and take no weak references: connections and cursors are stood in for.
"""

from __future__ import annotations

from typing import Any

from autotrace.any_driver import trace
from autotrace.dbapi import Driver
from autotrace.patching import Plan, require


def driver(module: Any, plan: Plan) -> None:
    for name in ("Connection", "Cursor"):
        require(module, name)
    # connect(): the one door. connection.execute(sql) is cursor().execute(sql) by its documentation.
    trace(module, plan, Odbc, shortcuts=("execute",))


class Odbc(Driver):
    """Its exceptions' first argument is the SQLSTATE."""

    def code_of(self, error: BaseException) -> str | None:
        code = error.args[0] if len(error.args) > 1 else None
        return code if isinstance(code, str) and len(code) == 5 else None
