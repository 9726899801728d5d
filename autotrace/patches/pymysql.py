"""PyMySQL: every statement of a cursor, and connects. Not traced: Connection.query(), which the cursors stand on, begin and ping."""

from __future__ import annotations

from typing import Any

from autotrace.databases.driver import ByIdentity
from autotrace.databases.mysql import Cursors, MySQL, shared
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts


def driver(module: Any, plan: Plan) -> None:
    us = MySQL("pymysql", "mysql", ByIdentity(_facts), sqlstate="sqlstate")
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    # connect(): opens the socket, be it for __init__, for a connection that was put off (`defer_connect`) or a ping(); a span if that fails.
    plan.method(Connection, "connect", us.connect)
    for name, make in us.transactions().items():
        plan.method(Connection, name, make)
    # The three that send SQL, on the class that all cursors derive from: DictCursor and SSCursor override only what reads rows.
    cursors = Cursors(us, ("query", "args", "procname"))
    plan.method(Cursor, "execute", cursors.execute(), parameters=("query",))
    plan.method(Cursor, "executemany", cursors.executemany(), parameters=("query", "args"))
    plan.method(Cursor, "callproc", cursors.callproc(), parameters=("procname",))


def _facts(connection: Any) -> SharedFacts:
    """As the driver has settled them: from its arguments, an option file, its defaults. `db` was bytes in old versions."""
    told = [getattr(connection, name, None) for name in ("host", "port", "unix_socket", "db", "user")]
    return shared("pymysql", *told)
