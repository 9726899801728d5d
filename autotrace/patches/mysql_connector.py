"""mysql-connector-python (in Python, in C, mysql.connector.aio): every statement of a cursor, and connects.

Not traced: cmd_query().
"""

from __future__ import annotations

import sys
from typing import Any

from autotrace.databases import transactions
from autotrace.databases.connection_facts import ByIdentity, shared_facts
from autotrace.databases.mysql import Cursors, MySQL
from autotrace.databases.styles import AWAITED, PLAIN, Style
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import Span


def driver(module: Any, plan: Plan) -> None:
    driver = _driver()
    # connect(): connects all connections, first and again (reconnect(), pools). Options are read before.
    plan.method(require(require(module, "abstracts"), "MySQLConnectionAbstract"), "connect", PLAIN.connect(driver))
    _implementation(module.connection.MySQLConnection, module.cursor, "", PLAIN, driver, plan)
    _hide_our_spans(module, plan)
    if require(module, "HAVE_CEXT"):
        _implementation(module.connection_cext.CMySQLConnection, module.cursor_cext, "C", PLAIN, driver, plan)


def asynchronous(module: Any, plan: Plan) -> None:
    """mysql.connector.aio"""
    driver, Connection = _driver(), require(module, "connection", "MySQLConnection")
    # connect(): connects all connections, first and again, pools' too.
    plan.method(Connection, "connect", AWAITED.connect(driver))
    _implementation(Connection, module.cursor, "", AWAITED, driver, plan)


def _driver() -> MySQL:
    return MySQL("mysql.connector", "mysql", ByIdentity(_facts), sqlstate="sqlstate")


def _implementation(Connection: Any, module: Any, letter: str, style: Style, driver: MySQL, plan: Plan) -> None:
    """One of the three implementations, alike but for their names. module: the one of its cursors."""
    transactions.trace(plan, Connection, driver, style.method)
    Cursor, Prepared = require(module, f"{letter}MySQLCursor"), require(module, f"{letter}MySQLCursorPrepared")
    cursors = Cursors(driver, ("operation", "seq_params", "procname"), _connection, asks=True, style=style)
    cursors.trace(plan, Cursor)
    cursors.trace_statements(plan, Prepared, prepares=True)
    # _fetch_warnings(): sends SHOW WARNINGS when a result has been read, if `get_warnings` is set. No span.
    plan.method(Cursor, "_fetch_warnings", cursors.silent())


def _hide_our_spans(module: Any, plan: Plan) -> None:
    """The driver sends the active span as a query attribute, and warns if the server takes none. Not ours."""
    propagation = sys.modules.get(f"{module.__name__}.opentelemetry.context_propagation")
    api = getattr(propagation, "trace", None)
    if api is not None and not isinstance(api, _WithoutOurs):
        plan.value(propagation, "trace", _WithoutOurs(api))


class _WithoutOurs:
    """opentelemetry.trace for the driver: the active span, unless it is ours."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def get_current_span(self) -> Any:
        span = self._api.get_current_span()
        return self._api.INVALID_SPAN if isinstance(span, Span) else span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)


def _connection(cursor: Any) -> Any:
    """The connection itself. The cursor holds a weak proxy of it, which has get_self()."""
    held = cursor._connection
    try:
        return None if held is None else held.get_self()
    except ReferenceError:  # the program dropped the connection; the driver will raise
        return None


def _facts(connection: Any) -> SharedFacts:
    """The values that the driver uses. `database` is not read, because that property asks the server."""
    if connection is None:
        return shared_facts("mysql.connector")
    return shared_facts(
        "mysql.connector",
        connection.server_host,
        connection.server_port,
        socket=connection.unix_socket,
        instance=getattr(connection, "_database", None),
        user=connection.user,
    )
