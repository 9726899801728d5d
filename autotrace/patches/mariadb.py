"""MariaDB Connector/Python (`mariadb`): every statement of a cursor, and connects. Not traced: XA, pools as such."""

from __future__ import annotations

from typing import Any

from autotrace.databases import mysql, transactions
from autotrace.databases.connection_facts import KeptFacts, shared_facts
from autotrace.databases.connects import traced_init
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts


def driver(module: Any, plan: Plan) -> None:
    require(module, "_mariadb")
    driver = mysql.MySQL("mariadb", "mariadb", KeptFacts("mariadb"), sqlstate="sqlstate")
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    # __init__(): connects, for pools too.
    plan.method(Connection, "__init__", traced_init(driver, _facts_of_arguments, _facts_of_connection))
    transactions.trace(plan, Connection, driver)
    # prepares: the driver prepares every statement that has parameters.
    mysql.Cursors(driver, ("statement", "parameters", "sp"), prepares=True).trace(plan, Cursor)


def _facts_of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    return mysql.facts_of_arguments("mariadb", args[1:], kwargs)  # the first is a DSN; the driver takes only None


def _facts_of_connection(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """All of it is in the client library's memory: the server is not asked. The port of a Unix socket is 0."""
    port, instance, user = connection.server_port, connection.database, connection.user
    socket = connection.unix_socket or not port
    return shared_facts("mariadb", connection.server_name, port, socket=socket, instance=instance, user=user)
