"""python-oracledb, thin, thick and asyncio: every statement of a cursor, data frames, connects. Not traced: pipelines, SODA, queues, direct path loads."""

from __future__ import annotations

import sys
from collections.abc import Generator
from functools import update_wrapper
from typing import Any

from autotrace.containment import contained
from autotrace.databases.driver import ByIdentity, Driver, batch, text
from autotrace.databases.streaming import async_rows_of, rows_of
from autotrace.databases.traced_methods import Way, awaited, called, of_arguments, part, whole, whole_awaited
from autotrace.patching import MARK, Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now

_PLACE = "oracledb.connect"


def driver(module: Any, plan: Plan) -> None:
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    parameters = require(module, "ConnectParams")
    known = ByIdentity(lambda connection: SharedFacts({"component": "oracledb"}))
    us = Oracle("oracledb", "oracle.db", known)
    # __init__(): it is what connects, for pools too; a span if that fails.
    plan.method(
        Connection, "__init__", lambda original: us.connect(_noting(original, known, parameters)), parameters=("dsn",)
    )
    for name, make in us.transactions().items():
        plan.method(Connection, name, make)
    _statements(Cursor, plan, lambda read: whole(called(us, _way(read))))
    # From 26 on these no longer go through the cursor's execute().
    frames = hasattr(Cursor, "_execute")
    if frames:
        plan.method(Connection, "fetch_df_all", called(us, _FRAMES), parameters=("statement",))
        plan.method(Connection, "fetch_df_batches", rows_of(us, _FRAMES), parameters=("statement",))
    if hasattr(module, "connect_async"):
        _asynchronous(module, plan, us, known, frames)


def _statements(Cursor: Any, plan: Plan, make: Any) -> None:
    # The four that send SQL; callproc and callfunc go through others, and a connection's shortcuts through these. No comments:
    # Oracle keeps statements by their text.
    many = make(batch("statement", "parameters"))
    plan.method(Cursor, "execute", make(text("statement")), parameters=("statement",))
    plan.method(Cursor, "executemany", many, parameters=("statement", "parameters"))
    for name in ("callproc", "callfunc"):
        plan.method(Cursor, name, make(_call), parameters=("name",))


def _asynchronous(module: Any, plan: Plan, us: Driver, known: ByIdentity, frames: bool) -> None:
    Connection = require(module, "AsyncConnection")
    # connect_async(): hands out a connection, pools' too, that connects when it is awaited or entered. A span if that fails.
    if not hasattr(module.connect_async, MARK):
        connect = _connect_async(module.connect_async, us, known, module.ConnectParams)
        for owner in (module, sys.modules.get(f"{module.__name__}.connection")):
            if hasattr(owner, "connect_async"):
                plan.method(owner, "connect_async", lambda original: connect)
    for name, make in us.transactions(awaited).items():
        plan.method(Connection, name, make)
    _statements(require(module, "AsyncCursor"), plan, lambda read: whole_awaited(awaited(us, _way(read))))
    if frames:
        plan.method(Connection, "fetch_df_all", awaited(us, _FRAMES), parameters=("statement",))
        plan.method(Connection, "fetch_df_batches", async_rows_of(us, _FRAMES), parameters=("statement",))


class Oracle(Driver):
    """Its exceptions hold an object with `full_code`: ORA-00942, DPY-6005."""

    def code_of(self, error: BaseException) -> str | None:
        return getattr(error.args[0], "full_code", None) if error.args else None


def _way(read: Any) -> Way:
    # Until 3 a cursor that has not come to its connection has no such attribute.
    return Way(
        part(of_arguments(read)),
        lambda cursor: getattr(cursor, "connection", None),
        lambda cursor, result: cursor.rowcount,
    )


_FRAMES = Way(of_arguments(text("statement")), lambda connection: connection)


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    name = args[0] if args else kwargs.get("name")
    return {"statement": f"CALL {name}"} if isinstance(name, str) else None


def _noting(original: Any, known: ByIdentity, parameters: Any) -> Any:
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            known.keep(self, _facts(parameters, *args, **kwargs))
        except Exception:
            contained(_PLACE)
        original(self, *args, **kwargs)

    return __init__


def _connect_async(original: Any, us: Driver, known: ByIdentity, parameters: Any) -> Any:
    def connect_async(*args: Any, **kwargs: Any) -> Any:
        begun = now()
        try:
            made = original(*args, **kwargs)
        except BaseException as error:
            if not isinstance(error, TypeError):  # a wrong call, no connect
                us.attempted(lambda: _facts(parameters, *args, **kwargs), begun, error, _PLACE)
            raise
        try:
            known.keep(made, _facts(parameters, *args, **kwargs))
        except Exception:
            contained(_PLACE)
        try:
            made._connect_coroutine = _Connecting(us, made, made._connect_coroutine)
        except Exception:
            contained(_PLACE)
        return made

    return update_wrapper(connect_async, original)


class _Connecting:
    """What a connection of asyncio's awaits to be connected, with a span. Never awaited, it leaves the warning to what it stands for."""

    __slots__ = ("connection", "us", "way")

    def __init__(self, us: Driver, connection: Any, way: Any) -> None:
        self.us = us
        self.connection = connection
        self.way = way

    def __await__(self) -> Generator[Any, Any, Any]:
        us, connection, begun = self.us, self.connection, now()
        try:
            result = yield from self.way.__await__()
        except BaseException as error:
            if not isinstance(error, TypeError):
                us.not_connected(connection, begun, error, _PLACE)
            raise
        us.connected(connection, begun, _PLACE)
        return result


def _facts(parameters: Any, dsn: Any = None, *, pool: Any = None, params: Any = None, **kwargs: Any) -> SharedFacts:
    """Read by the driver's own reader of connect strings. Of several addresses it tells a list: the first is whom the program meant."""
    facts: dict[str, Any] = {"component": "oracledb"}
    read = params if isinstance(params, parameters) else parameters()
    if pool is not None:
        dsn, kwargs = dsn or getattr(pool, "dsn", None), {"user": getattr(pool, "username", None), **kwargs}
    if isinstance(dsn, str):
        named, dsn = _without_credentials(dsn)
        kwargs["user"] = kwargs.get("user") or getattr(params, "user", None) or named
        read = _parsed(parameters, dsn)
    for fact, names in (("instance", ("service_name", "sid")), ("user", ("user",))):
        value = next(
            (value for name in names if (value := _first(kwargs.get(name) or getattr(read, name, None)))), None
        )
        if isinstance(value, str):
            facts[fact] = value
    host = _first(kwargs.get("host") or getattr(read, "host", None))
    if isinstance(host, str) and host:
        facts["remote"] = (host, _first(kwargs.get("port") or getattr(read, "port", None)))
        facts["service"] = host
    return SharedFacts(facts)


def _without_credentials(dsn: str) -> tuple[str | None, str]:
    """(user, connect string) of `user/password@connect string`."""
    before, at, behind = ("", "", dsn) if dsn.lstrip().startswith("(") else dsn.rpartition("@")
    return before.partition("/")[0] or None if at else None, behind


def _parsed(parameters: Any, dsn: str) -> Any:
    """Nothing is read of a name that tnsnames.ora explains, and of a string that the driver will refuse."""
    read = parameters()
    try:
        read.parse_connect_string(dsn)
    except Exception:
        return parameters()
    return read


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
