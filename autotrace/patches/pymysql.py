"""PyMySQL: every statement of a cursor, and connects. Not traced: Connection.query(), begin, ping."""

from __future__ import annotations

from typing import Any

from autotrace.databases import transactions
from autotrace.databases.connection_facts import ByIdentity, shared_facts
from autotrace.databases.connects import traced_connect
from autotrace.databases.mysql import Cursors, MySQL
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts


def driver(module: Any, plan: Plan) -> None:
    driver = MySQL("pymysql", "mysql", ByIdentity(_facts), sqlstate="sqlstate")
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    # connect(): opens the socket, for __init__, for a connect that was put off (`defer_connect`) and for ping().
    plan.method(Connection, "connect", traced_connect(driver))
    transactions.trace(plan, Connection, driver)
    Cursors(driver, ("query", "args", "procname")).trace(plan, Cursor)


def _facts(connection: Any) -> SharedFacts:
    """The values in use: of the arguments, an option file or the defaults. `db` was bytes in old versions."""
    names = ("host", "port", "unix_socket", "db", "user")
    host, port, socket, instance, user = (getattr(connection, name, None) for name in names)
    return shared_facts("pymysql", host, port, socket=socket, instance=instance, user=user)
