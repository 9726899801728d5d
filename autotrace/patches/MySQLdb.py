"""mysqlclient (`MySQLdb`): every statement of a cursor, and connects. Not traced: Connection.query().

Connections and cursors stay the driver's own objects, because a stand-in for a connection would die before its cursors.
"""

from __future__ import annotations

from typing import Any

from autotrace.databases import mysql, transactions
from autotrace.databases.connection_facts import KeptFacts, shared_facts
from autotrace.databases.connects import traced_init
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts


def driver(module: Any, plan: Plan) -> None:
    require(module, "_mysql")  # another module may stand here: PyMySQL's install_as_MySQLdb()
    driver = mysql.MySQL("MySQLdb", "mysql", KeptFacts("MySQLdb"))
    Connection, Cursor = require(module, "Connection"), require(require(module, "cursors"), "BaseCursor")
    # __init__(): connects, whichever way a connection is made.
    plan.method(Connection, "__init__", traced_init(driver, _facts_of_arguments, _facts_of_connection))
    transactions.trace(plan, Connection, driver)
    mysql.Cursors(driver, ("query", "args", "procname")).trace(plan, Cursor)


def _facts_of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    return mysql.facts_of_arguments("MySQLdb", args, kwargs)


def _facts_of_connection(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """The library's own words: `127.0.0.1 via TCP/IP`, `Localhost via UNIX socket`."""
    host, _, how = connection.get_host_info().rpartition(" via ")
    instance, user = mysql.names(args, kwargs)
    return shared_facts("MySQLdb", host, connection.port, socket="TCP" not in how, instance=instance, user=user)
