"""DuckDB: execute() and executemany() of connections, which are their own cursors, and of the module.

Not traced: relations (`sql()`, `query()`), which run when they are read; connects. There is no peer: DuckDB runs
in-process. DuckDB reads its caller's variables as tables, so our frames must not hide them: from_callers_frame().
"""

from __future__ import annotations

import sys
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

from autotrace.databases import transactions
from autotrace.databases.connection_facts import KeptFacts, shared_facts
from autotrace.databases.connects import keeping_facts
from autotrace.databases.driver import Driver
from autotrace.databases.outermost import unless_nested
from autotrace.databases.statement_arguments import many_argument, statement_argument
from autotrace.databases.styles import PLAIN
from autotrace.databases.traced_methods import StatementCall, itself, of_arguments
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def driver(module: Any, plan: Plan) -> None:
    Connection = require(module, "DuckDBPyConnection")
    facts_of = KeptFacts("duckdb")
    driver = Driver("duckdb", "duckdb", facts_of)
    # connect(), cursor(), duplicate(): tell the database of a connection, which does not know it. No span.
    _replace(module, "connect", keeping_facts(driver, _facts), plan)
    for name in ("cursor", "duplicate"):
        plan.method(Connection, name, keeping_facts(driver, lambda args, kwargs: facts_of(args[0])))
    for name, read in (("execute", statement_argument("query")), ("executemany", many_argument("query", "parameters"))):
        plan.method(Connection, name, _traced_method(driver, read, Connection))
        # The module's functions of the same name: they work on the module's default connection, or on an argument.
        # Before DuckDB 1.1 they are Python's and call the method.
        if not hasattr(require(module, name), "__code__"):
            _replace(module, name, _traced_function(driver, read), plan)
    transactions.trace(plan, Connection, driver)


def _replace(module: Any, name: str, make: Any, plan: Plan) -> None:
    """Replace a function of the module. pickle looks it up where it is defined, so it is replaced there, too.

    Functions of nanobind do not pickle.
    """
    original = require(module, name)
    native = sys.modules.get(getattr(original, "__module__", None) or "")
    both = getattr(native, name, None) is original and type(original).__module__ != "nanobind"
    replacement = make(original)
    plan.function((module, native) if both else (module,), name, lambda original: replacement)
    if getattr(replacement, "__qualname__", "").startswith("pybind11_"):
        # pybind11's own name for it: its functions pickle themselves, ours by its name.
        replacement.__qualname__ = name


def _traced_method(driver: Driver, read: Any, Connection: Any) -> Any:
    read = unless_nested(read)

    def of_connection(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return read(connection, args, kwargs) if isinstance(connection, Connection) else None

    call = StatementCall(of_connection, itself, lambda connection, result: connection.rowcount)
    make = PLAIN.outermost(PLAIN.method(driver, call))
    return lambda original: make(update_wrapper(from_callers_frame(original), original))


def _traced_function(driver: Driver, read: Any) -> Any:
    """The same for a function, whose connection stands for `self`."""

    def make(original: Any) -> Any:
        visible = from_callers_frame(original)

        def method(connection: Any, /, *args: Any, **kwargs: Any) -> Any:
            return visible(*args, **kwargs)

        call = StatementCall(of_arguments(read), itself, lambda connection, result: result.rowcount)
        traced = PLAIN.method(driver, call)(update_wrapper(method, original))

        def function(*args: Any, **kwargs: Any) -> Any:
            return traced(kwargs.get("connection"), *args, **kwargs)

        return function

    return make


def _facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """A file, or `:memory:`. The parameters of a remote database (`md:…?token=…`) are secret."""
    database = argument(args, kwargs, 0, "database", ":memory:")
    name = database if isinstance(database, str) else str(database)
    return shared_facts("duckdb", instance=name.partition("?")[0])


# -- the program's variables ------------------------------------------------------------------------------------------

# DuckDB searches the frame of its caller for tables. Our frames would hide the program's. So the call is made from a
# frame that has the program's globals, a copy of its locals, its file and its line.
# Limit: if DuckDB searches further out, it finds our frames between that frame and the program's.

_NAME = "<autotrace>"
"""The name of the call in the copy: no variable can have it."""
_CALL = compile("call()", "<autotrace>", "eval").replace(co_names=(_NAME,))
_OPTIMIZED = 1
"""The flag of functions' code: their variables are no dictionary, f_locals makes one."""
_KEPT = sys.version_info < (3, 13)
"""The frame keeps that dictionary, and so the values in it, even if the program deletes its variables."""


def from_callers_frame(original: Callable[..., Any]) -> Callable[..., Any]:
    """`original`, called as if by the next frame that is not ours."""

    def call(*args: Any, **kwargs: Any) -> Any:
        frame = _program()
        if frame is None:
            return original(*args, **kwargs)
        code = _CALL.replace(co_filename=frame.f_code.co_filename, co_firstlineno=frame.f_lineno or 1)
        space = {**_variables(frame), _NAME: partial(original, *args, **kwargs)}
        try:
            return eval(code, frame.f_globals, space)
        finally:
            space.clear()

    return call


def _program() -> FrameType | None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("autotrace."):
        frame = frame.f_back
    return frame


def _variables(frame: FrameType) -> dict[str, Any]:
    space, code = frame.f_locals, frame.f_code
    if not code.co_flags & _OPTIMIZED:
        return {} if space is frame.f_globals else dict(space)
    variables = dict(space)
    if _KEPT and sys.getrefcount(space) <= 3:  # the frame's, ours, getrefcount's: not the program's
        for name in variables.keys() & {*code.co_varnames, *code.co_cellvars, *code.co_freevars}:
            space.pop(name, None)
    return variables
