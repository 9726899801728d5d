"""python-oracledb (thin, thick, asyncio): every statement of a cursor, data frames, connects.

Not traced: pipelines, SODA, queues, direct path loads.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

from autotrace.containment import contained
from autotrace.databases import transactions
from autotrace.databases.connection_facts import KeptFacts, shared_facts
from autotrace.databases.connects import ConnectAttempt, keeping_facts, record_connect, traced_init
from autotrace.databases.driver import Driver
from autotrace.databases.outermost import unless_nested
from autotrace.databases.statement_arguments import many_argument, procedure_argument, statement_argument
from autotrace.databases.styles import AWAITED, PLAIN, Style
from autotrace.databases.traced_methods import StatementCall, itself, of_arguments
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now


def driver(module: Any, plan: Plan) -> None:
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    parameters = require(module, "ConnectParams")
    driver = Oracle("oracledb", "oracle.db", KeptFacts("oracledb"))

    def facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
        return _facts(parameters, *args, **kwargs)

    # __init__(): connects, for pools too.
    plan.method(Connection, "__init__", traced_init(driver, facts), parameters=("dsn",))
    # From 26 on, data frames no longer go through the cursor's execute().
    frames = hasattr(Cursor, "_execute")
    _statements(Connection, Cursor, plan, driver, frames, PLAIN)
    if hasattr(module, "connect_async"):
        # connect_async(): returns a connection, pools' too, that connects when it is awaited or entered.
        native = sys.modules.get(f"{module.__name__}.connection")
        owners = [owner for owner in (module, native) if hasattr(owner, "connect_async")]
        plan.function(owners, "connect_async", lambda original: _connect_async(original, driver, facts))
        AsyncConnection, AsyncCursor = require(module, "AsyncConnection"), require(module, "AsyncCursor")
        _statements(AsyncConnection, AsyncCursor, plan, driver, frames, AWAITED)


def _statements(Connection: Any, Cursor: Any, plan: Plan, driver: Driver, frames: bool, style: Style) -> None:
    # The four that send SQL. callproc and callfunc call the others, and so do a connection's shortcuts. No comments,
    # because Oracle keeps statements by their text. fetch_df_batches(): a span until the last batch.
    for name, read, wanted in (
        ("execute", statement_argument("statement"), ("statement",)),
        ("executemany", many_argument("statement", "parameters"), ("statement", "parameters")),
        ("callproc", procedure_argument("name"), ("name",)),
        ("callfunc", procedure_argument("name"), ("name",)),
    ):
        call = StatementCall(unless_nested(read), _connection_of, lambda cursor, result: cursor.rowcount)
        plan.method(Cursor, name, style.outermost(style.method(driver, call)), parameters=wanted)
    if frames:
        call = StatementCall(of_arguments(statement_argument("statement")), itself)
        plan.method(Connection, "fetch_df_all", style.method(driver, call), parameters=("statement",))
        plan.method(Connection, "fetch_df_batches", style.rows(driver, call), parameters=("statement",))
    transactions.trace(plan, Connection, driver, style.method)


def _connection_of(cursor: Any) -> Any:
    """Until version 3, a cursor has no `connection` before its __init__ has set it."""
    return getattr(cursor, "connection", None)


class Oracle(Driver):
    """Its exceptions hold an object with `full_code`: ORA-00942, DPY-6005."""

    def code_of(self, error: BaseException) -> str | None:
        return getattr(error.args[0], "full_code", None) if error.args else None


def _connect_async(original: Any, driver: Driver, facts: Any) -> Any:
    make = keeping_facts(driver, facts)(original)

    def connect_async(*args: Any, **kwargs: Any) -> Any:
        began = now()
        try:
            connection = make(*args, **kwargs)
        except BaseException as error:
            if not isinstance(error, TypeError):  # a wrong call, no connect
                record_connect(driver, lambda: facts(args, kwargs), began, error)
            raise
        try:
            connection._connect_coroutine = _Connecting(driver, connection, connection._connect_coroutine)
        except Exception:
            contained("oracledb.connect")
        return connection

    return connect_async


class _Connecting:
    """The awaitable that connects an asyncio connection, with a span. If nobody awaits it, the driver's warns."""

    __slots__ = ("awaitable", "connection", "driver")

    def __init__(self, driver: Driver, connection: Any, awaitable: Any) -> None:
        self.driver = driver
        self.connection = connection
        self.awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        with ConnectAttempt(self.driver, (self.connection,), {}):
            return (yield from self.awaitable.__await__())


def _facts(parameters: Any, dsn: Any = None, *, pool: Any = None, params: Any = None, **kwargs: Any) -> SharedFacts:
    """Read by the driver's own reader of connect strings, which gives several addresses as a list. The first counts."""
    read = params if isinstance(params, parameters) else parameters()
    if pool is not None:
        dsn, kwargs = dsn or getattr(pool, "dsn", None), {"user": getattr(pool, "username", None), **kwargs}
    if isinstance(dsn, str):
        named, dsn = _without_credentials(dsn)
        kwargs["user"] = kwargs.get("user") or getattr(params, "user", None) or named
        read = _parsed(parameters, dsn)

    def find(*names: str) -> Any:
        return next((value for name in names if (value := _first(kwargs.get(name) or getattr(read, name, None)))), None)

    instance, user = find("service_name", "sid"), find("user")
    return shared_facts("oracledb", find("host"), find("port"), instance=instance, user=user)


def _without_credentials(dsn: str) -> tuple[str | None, str]:
    """(user, connect string) of `user/password@connect string`."""
    before, at, behind = ("", "", dsn) if dsn.lstrip().startswith("(") else dsn.rpartition("@")
    return before.partition("/")[0] or None if at else None, behind


def _parsed(parameters: Any, dsn: str) -> Any:
    """Names of tnsnames.ora and strings that the driver will refuse have no facts."""
    read = parameters()
    try:
        read.parse_connect_string(dsn)
    except Exception:
        return parameters()
    return read


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
