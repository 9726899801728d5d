"""MariaDB Connector/Python (`mariadb`): every statement of a cursor, and connects. Not traced: prepared XA transactions, pools as such."""

from __future__ import annotations

from typing import Any

from autotrace.databases import mysql, transactions
from autotrace.databases.connection_facts import Kept, shared_facts
from autotrace.databases.connects import traced_init
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts


def driver(module: Any, plan: Plan) -> None:
    require(module, "_mariadb")
    driver = mysql.MySQL("mariadb", "mariadb", Kept("mariadb"), sqlstate="sqlstate")
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    # __init__(): connects, for pools too.
    plan.method(Connection, "__init__", traced_init(driver, _asked, _connected))
    transactions.trace(plan, Connection, driver)
    # It prepares any statement with parameters.
    mysql.Cursors(driver, ("statement", "parameters", "sp"), prepares=True).trace(plan, Cursor)


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    return mysql.asked("mariadb", args[1:], kwargs)  # the first is a DSN, which it refuses unless it is None


def _connected(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """All of it is in the client library's memory; nothing is asked of the server. Its port is 0 on a Unix socket."""
    port, instance, user = connection.server_port, connection.database, connection.user
    socket = connection.unix_socket or not port
    return shared_facts("mariadb", connection.server_name, port, socket=socket, instance=instance, user=user)
