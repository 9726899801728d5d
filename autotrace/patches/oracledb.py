"""python-oracledb, thin and thick: every statement of a cursor, and connects. Not traced: its asyncio classes, pipelines, SODA and queues."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.dbapi import ByIdentity, Driver, batch, text
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.statements import Way, called, part, whole


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
    # The four that send SQL; callproc and callfunc go through others. No comments: Oracle keeps statements by their text.
    plan.method(Cursor, "execute", _way(us, text("statement")), parameters=("statement",))
    plan.method(
        Cursor, "executemany", _way(us, batch("statement", "parameters")), parameters=("statement", "parameters")
    )
    for name in ("callproc", "callfunc"):
        plan.method(Cursor, name, _way(us, _call), parameters=("name",))


class Oracle(Driver):
    """Its exceptions hold an object with `full_code`: ORA-00942, DPY-6005."""

    def code_of(self, error: BaseException) -> str | None:
        return getattr(error.args[0], "full_code", None) if error.args else None


def _way(us: Driver, read: Any) -> Any:
    def of_cursor(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return read(args, kwargs)

    return whole(called(us, Way(part(of_cursor), rows=lambda cursor, result: cursor.rowcount)))


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    name = args[0] if args else kwargs.get("name")
    return {"statement": f"CALL {name}"} if isinstance(name, str) else None


def _noting(original: Any, known: ByIdentity, parameters: Any) -> Any:
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            known.keep(self, _facts(parameters, *args, **kwargs))
        except Exception:
            contained("oracledb.connect")
        original(self, *args, **kwargs)

    return __init__


def _facts(parameters: Any, dsn: Any = None, *, pool: Any = None, params: Any = None, **kwargs: Any) -> SharedFacts:
    """Read by the driver's own reader of connect strings. Of several addresses it tells a list: the first is whom the program meant."""
    facts: dict[str, Any] = {"component": "oracledb"}
    read = params or parameters()
    if pool is not None:
        dsn, kwargs = dsn or pool.dsn, {"user": pool.username, **kwargs}
    if isinstance(dsn, str):
        read = parameters()
        read.parse_connect_string(dsn)
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


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
