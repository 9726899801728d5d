"""mysql-connector-python, in Python, in C and asyncio (mysql.connector.aio): every statement of a cursor, and connects. Not traced: cmd_query() itself."""

from __future__ import annotations

import sys
from typing import Any

from autotrace.databases.driver import ByIdentity
from autotrace.databases.mysql import Cursors, MySQL, shared
from autotrace.databases.traced_methods import awaited
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import Span, now

_NAMES = ("operation", "seq_params", "procname")


def driver(module: Any, plan: Plan) -> None:
    us = MySQL("mysql.connector", "mysql", ByIdentity(_facts), sqlstate="sqlstate")
    # connect(): of all connections, first and again (reconnect(), pools); a span if it fails. Options are read before.
    plan.method(require(require(module, "abstracts"), "MySQLConnectionAbstract"), "connect", us.connect)
    _kind(module.connection.MySQLConnection, module.cursor, "", us, plan)
    _hide_our_spans(module, plan)
    if require(module, "HAVE_CEXT"):
        _kind(module.connection_cext.CMySQLConnection, module.cursor_cext, "C", us, plan)


def asynchronous(module: Any, plan: Plan) -> None:
    """mysql.connector.aio"""
    us = MySQL("mysql.connector", "mysql", ByIdentity(_facts), sqlstate="sqlstate")
    Connection = require(module, "connection", "MySQLConnection")
    # connect(): of all connections, first and again, pools' too; a span if it fails.
    plan.method(Connection, "connect", lambda original: _connect(original, us))
    for name, make in us.transactions(awaited).items():
        plan.method(Connection, name, make)
    _cursors(module.cursor, "", Cursors(us, _NAMES, _connection, asks=True, awaits=True), plan)


def _connect(original: Any, us: MySQL) -> Any:
    place = "mysql.connector.connect"

    async def connect(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        begun = now()
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            if not isinstance(error, TypeError):  # a wrong call, no connect
                us.not_connected(self, begun, error, place)
            raise
        us.connected(self, begun, place)
        return result

    return connect


def _kind(connection: Any, room: Any, letter: str, us: MySQL, plan: Plan) -> None:
    """One of the two implementations, alike but for their names."""
    for name, make in us.transactions().items():
        plan.method(connection, name, make)
    _cursors(room, letter, Cursors(us, _NAMES, _connection, asks=True), plan)


def _cursors(room: Any, letter: str, cursors: Cursors, plan: Plan) -> None:
    Cursor, Prepared = require(room, f"{letter}MySQLCursor"), require(room, f"{letter}MySQLCursorPrepared")
    # The three that send SQL, where they are defined: the other cursor classes override only what reads rows.
    plan.method(Cursor, "execute", cursors.execute(), parameters=("operation",))
    plan.method(Cursor, "executemany", cursors.executemany(), parameters=("operation", "seq_params"))
    plan.method(Cursor, "callproc", cursors.callproc(), parameters=("procname",))
    plan.method(Prepared, "execute", cursors.execute(prepared=True), parameters=("operation",))
    plan.method(Prepared, "executemany", cursors.executemany(), parameters=("operation", "seq_params"))
    # SHOW WARNINGS, asked for by `get_warnings` when a result has been read.
    plan.method(Cursor, "_fetch_warnings", cursors.of_its_own())


def _hide_our_spans(module: Any, plan: Plan) -> None:
    """The driver sends the current span along as a query attribute, and warns where the server takes none: not for spans of ours."""
    propagation = sys.modules.get(f"{module.__name__}.opentelemetry.context_propagation")
    api = getattr(propagation, "trace", None)
    if api is not None and not isinstance(api, _WithoutOurs):
        plan.value(propagation, "trace", _WithoutOurs(api))


class _WithoutOurs:
    """opentelemetry.trace as the driver sees it: without the agent, no span of ours would be current."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def get_current_span(self) -> Any:
        span = self._api.get_current_span()
        return self._api.INVALID_SPAN if isinstance(span, Span) else span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)


def _connection(cursor: Any) -> Any:
    """The connection itself: the cursor holds a weak stand-in for it, which says so."""
    held = cursor._connection
    try:
        return None if held is None else held.get_self()
    except ReferenceError:  # nobody holds the connection any more: the driver will say so
        return None


def _facts(connection: Any) -> SharedFacts:
    """As the driver has settled them. Not its `database`: that one asks the server."""
    if connection is None:
        return shared("mysql.connector", None, None, None, None, None)
    host, port, socket = connection.server_host, connection.server_port, connection.unix_socket
    return shared("mysql.connector", host, port, socket, getattr(connection, "_database", None), connection.user)
