"""pg8000: statements of its three interfaces (dbapi, legacy, native), and connects. Not traced: preparing that succeeds, two-phase commits."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.databases.driver import ByIdentity, Driver
from autotrace.databases.sql_comments import commented
from autotrace.databases.statement_arguments import batch, procedure, text
from autotrace.databases.traced_methods import Way, called, of_arguments, opened, part, whole
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import argument


class _Driver(Driver):
    def code_of(self, error: BaseException) -> str | None:
        """Its exceptions hold PostgreSQL's answer as it came, field by field."""
        told = error.args[0] if error.args else None
        return told.get("C") if isinstance(told, dict) else None


# The three interfaces are modules of their own, and share the connection's class.
_UNKNOWN = SharedFacts({"component": "pg8000"})
_known = ByIdentity(lambda connection: _UNKNOWN)
_us = _Driver("pg8000", "postgresql", _known)


def connections(module: Any, plan: Plan) -> None:
    # CoreConnection.__init__(): what connects, of all three. A span if that fails.
    plan.method(
        require(module, "CoreConnection"),
        "__init__",
        lambda original: _us.connect(_noting(original)),
        parameters=("user",),
    )


def cursors(module: Any, plan: Plan) -> None:
    # (dbapi, legacy) Cursor.execute(), callproc(): a span each. executemany() calls execute() for each set of parameters: they
    # are one span. legacy's Connection.run() goes through a cursor. Not by `cursor.connection`: pg8000 warns whoever asks for it.
    # The comment: what execute() sends the server parses for this once and keeps under no name.
    Cursor, Connection = require(module, "Cursor"), require(module, "Connection")
    execute = called(_us, _way(part(of_arguments(text("operation")))))
    plan.method(Cursor, "execute", commented(_us, "operation", execute), parameters=("operation",))
    many = called(_us, _way(of_arguments(batch("operation", "param_sets"))))
    plan.method(Cursor, "executemany", whole(many), parameters=("operation", "param_sets"))
    if hasattr(Cursor, "callproc"):
        plan.method(
            Cursor, "callproc", called(_us, _way(of_arguments(procedure("procname")))), parameters=("procname",)
        )
    # commit(), rollback(): if they are asked for.
    for name, make in _us.transactions().items():
        plan.method(Connection, name, make)
    if hasattr(module, "PreparedStatement"):
        _prepared(module, plan, "operation")


def native(module: Any, plan: Plan) -> None:
    # Connection.run(): sends what it is given at once. PreparedStatement.run(): what was prepared.
    run = Way(of_arguments(text("sql")), connection=lambda self: self, rows=lambda self, result: self.row_count)
    plan.method(require(module, "Connection"), "run", commented(_us, "sql", called(_us, run)), parameters=("sql",))
    _prepared(module, plan, "statement")


def _prepared(module: Any, plan: Plan, attribute: str) -> None:
    way = Way(
        lambda self, args, kwargs: {"statement": getattr(self, attribute)},
        connection=lambda self: self.con,
        rows=lambda self, result: self._context.row_count,
    )
    # __init__(): prepares. What the server refuses here never runs, so this is its span.
    kind = require(module, "PreparedStatement")
    plan.method(kind, "run", called(_us, way))
    plan.method(kind, "__init__", _preparing)


def _preparing(original: Any) -> Any:
    way = Way(lambda self, args, kwargs: {"statement": args[1]}, connection=lambda self: self.con)

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        begun = now()
        try:
            original(self, *args, **kwargs)
        except BaseException as error:
            span = opened(_us, way, self, args, kwargs, "pg8000.prepare") if len(args) > 1 else None
            if span is not None:
                span.start_time = begun
                _us.failed(span, error, "pg8000.prepare")
            raise

    return __init__


def _way(read: Any) -> Way:
    return Way(read, connection=lambda self: self._c, rows=lambda self, result: self.rowcount)


def _noting(original: Any) -> Any:
    """A connection forgets where it went."""

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            _known.keep(self, _facts(args, kwargs))
        except Exception:
            contained("pg8000.connect")
        original(self, *args, **kwargs)

    return __init__


def _facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """The arguments of a connect; the server takes a missing database for one of the user's name. A socket handed in has no known peer."""
    user = _text(argument(args, kwargs, 0, "user"))
    facts: dict[str, Any] = {"component": "pg8000"}
    facts["instance"], facts["user"] = _text(argument(args, kwargs, 2, "database")) or user, user
    host, port = argument(args, kwargs, 1, "host", "localhost"), argument(args, kwargs, 3, "port", 5432)
    if argument(args, kwargs, 6, "unix_sock") is not None:
        facts["remote"] = ("", None)
    elif argument(args, kwargs, 13, "sock") is None and isinstance(host, str):
        facts["remote"], facts["service"] = (host, port), host
    return SharedFacts(facts)


def _text(name: Any) -> str | None:
    return name.decode("utf-8", "replace") if isinstance(name, (bytes, bytearray)) else name
