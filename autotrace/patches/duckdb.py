"""DuckDB: execute() and executemany() of connections, which are their own cursors, and of the module. In-process, so there is no other side.

Not traced: relations (`sql()`, `query()`), which run when they are read; connects. DuckDB takes the caller's variables for tables: hence seen().
"""

from __future__ import annotations

import sys
from functools import update_wrapper
from typing import Any

from autotrace.callers_variables import seen
from autotrace.containment import contained
from autotrace.databases.driver import ByIdentity, Driver, batch, text
from autotrace.databases.traced_methods import Way, called, of_arguments, part, whole
from autotrace.patching import MARK, Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import argument


def driver(module: Any, plan: Plan) -> None:
    Connection = require(module, "DuckDBPyConnection")
    known = ByIdentity(lambda connection: SharedFacts({"component": "duckdb"}))
    us = Driver("duckdb", "duckdb", known)
    # connect(), cursor(), duplicate(): no spans. They tell which database a connection works on: it does not know itself.
    _replace(module, "connect", lambda original: _noting(original, _facts, known), plan)
    for name in ("cursor", "duplicate"):
        plan.method(Connection, name, lambda original: _noting(original, lambda args, kwargs: known(args[0]), known))
    for name, read in (("execute", text("query")), ("executemany", batch("query", "parameters"))):
        plan.method(Connection, name, _way(us, read, Connection))
        # The functions of the same name work on the module's default connection, or on the one they are given. Before DuckDB 1.1
        # they are Python's and go through the method.
        if not hasattr(require(module, name), "__code__"):
            _replace(module, name, _function(us, read), plan)
    for name, make in us.transactions().items():
        plan.method(Connection, name, make)


def _replace(module: Any, name: str, make: Any, plan: Plan) -> None:
    """A function of the module, also where it is defined, for there pickle looks; but nanobind's, which do not pickle."""
    original = require(module, name)
    made = original if hasattr(original, MARK) else make(original)
    native = sys.modules.get(getattr(original, "__module__", None) or "")
    for owner in (module, native):
        if getattr(owner, name, None) is original and (owner is module or type(original).__module__ != "nanobind"):
            plan.method(owner, name, lambda original: made)
    if getattr(made, "__qualname__", "").startswith(
        "pybind11_"
    ):  # a record of pybind11's that pickles itself; ours goes by its name
        made.__qualname__ = name


def _way(us: Driver, read: Any, Connection: Any) -> Any:
    def of_connection(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return read(args, kwargs) if isinstance(connection, Connection) else None

    way = Way(part(of_connection), lambda connection: connection, lambda connection, result: connection.rowcount)
    make = whole(called(us, way))
    return lambda original: make(update_wrapper(seen(original), original))


def _function(us: Driver, read: Any) -> Any:
    """The same for a function: called() and part() know methods, so its connection stands for `self`."""

    def make(original: Any) -> Any:
        def on(connection: Any, /, *args: Any, **kwargs: Any) -> Any:
            return looking(*args, **kwargs)

        looking = seen(original)
        way = Way(of_arguments(read), lambda connection: connection, lambda connection, result: result.rowcount)
        traced = called(us, way)(update_wrapper(on, original))

        def function(*args: Any, **kwargs: Any) -> Any:
            return traced(kwargs.get("connection"), *args, **kwargs)

        return function

    return make


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
