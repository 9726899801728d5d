"""DuckDB: execute() and executemany() of connections, which are their own cursors. In-process, so there is no other side.

Not traced: relations (`sql()`, `query()`), which run when they are read; the functions of the module, on its default connection; connects.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.dbapi import ByIdentity, Driver, batch, text
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.statements import Way, called, part, whole
from autotrace.tracing.around import argument


def driver(module: Any, plan: Plan) -> None:
    Connection = require(module, "DuckDBPyConnection")
    known = ByIdentity(lambda connection: SharedFacts({"component": "duckdb"}))
    us = Driver("duckdb", "duckdb", known)
    # connect(), cursor(), duplicate(): no spans. They tell which database a connection works on: it does not know itself.
    plan.method(module, "connect", lambda original: _noting(original, _facts, known))
    for name in ("cursor", "duplicate"):
        plan.method(Connection, name, lambda original: _noting(original, lambda args, kwargs: known(args[0]), known))
    for name, read in (("execute", text("query")), ("executemany", batch("query", "parameters"))):
        plan.method(Connection, name, _way(us, read))
    for name, make in us.transactions().items():
        plan.method(Connection, name, make)


def _way(us: Driver, read: Any) -> Any:
    def of_connection(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return read(args, kwargs)

    way = Way(part(of_connection), lambda connection: connection, lambda connection, result: connection.rowcount)
    return whole(called(us, way))


def _noting(original: Any, facts: Any, known: ByIdentity) -> Any:
    def connect(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        try:
            known.keep(made, facts(args, kwargs))
        except Exception:
            contained("duckdb.connect")
        return made

    return connect


def _facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """A file, or `:memory:`, has no other side. The parameters of a remote one (`md:…?token=…`) stay out."""
    database = argument(args, kwargs, 0, "database", ":memory:")
    name = database if isinstance(database, str) else str(database)
    return SharedFacts({"component": "duckdb", "instance": name.partition("?")[0]})
