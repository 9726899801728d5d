"""pg8000: statements of its three interfaces (dbapi, legacy, native), and connects.

Not traced: a prepare that succeeds, two-phase commits.
"""

from __future__ import annotations

from typing import Any

from autotrace.databases import transactions
from autotrace.databases.connection_facts import KeptFacts, shared_facts
from autotrace.databases.connects import traced_init
from autotrace.databases.driver import Driver
from autotrace.databases.outermost import unless_nested
from autotrace.databases.sql_comments import commented
from autotrace.databases.statement_arguments import many_argument, procedure_argument, statement_argument
from autotrace.databases.styles import PLAIN
from autotrace.databases.traced_methods import StatementCall, itself, of_arguments, start_span
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import argument


class _Driver(Driver):
    def code_of(self, error: BaseException) -> str | None:
        """Its exceptions hold PostgreSQL's answer, field by field."""
        fields = error.args[0] if error.args else None
        return fields.get("C") if isinstance(fields, dict) else None


# The three interfaces are modules of their own, and share the connection's class.
_driver = _Driver("pg8000", "postgresql", KeptFacts("pg8000"))


def connections(module: Any, plan: Plan) -> None:
    # CoreConnection.__init__(): connects, for all three.
    plan.method(require(module, "CoreConnection"), "__init__", traced_init(_driver, _facts), parameters=("user",))


def cursors(module: Any, plan: Plan) -> None:
    # (dbapi, legacy) Cursor.execute(), callproc(): a span each. executemany(): calls execute() for each set of
    # parameters; one span. legacy's Connection.run() goes through a cursor. The connection is `_c`, because
    # `connection` warns its reader. execute() may get a comment, because the server keeps its text under no name.
    Cursor, Connection = require(module, "Cursor"), require(module, "Connection")
    execute = _traced(unless_nested(statement_argument("operation")))
    plan.method(Cursor, "execute", commented(_driver, "operation", execute), parameters=("operation",))
    many = PLAIN.outermost(_traced(of_arguments(many_argument("operation", "param_sets"))))
    plan.method(Cursor, "executemany", many, parameters=("operation", "param_sets"))
    if hasattr(Cursor, "callproc"):
        call = _traced(of_arguments(procedure_argument("procname")))
        plan.method(Cursor, "callproc", call, parameters=("procname",))
    transactions.trace(plan, Connection, _driver)
    if hasattr(module, "PreparedStatement"):
        _prepared(module, plan, "operation")


def _traced(read: Any) -> Any:
    return PLAIN.method(_driver, StatementCall(read, lambda self: self._c, lambda self, result: self.rowcount))


def native(module: Any, plan: Plan) -> None:
    # Connection.run(): sends the statement.
    call = StatementCall(of_arguments(statement_argument("sql")), itself, lambda self, result: self.row_count)
    run = commented(_driver, "sql", PLAIN.method(_driver, call))
    plan.method(require(module, "Connection"), "run", run, parameters=("sql",))
    _prepared(module, plan, "statement")


def _prepared(module: Any, plan: Plan, attribute: str) -> None:
    call = StatementCall(
        lambda self, args, kwargs: {"statement": getattr(self, attribute)},
        connection=lambda self: self.con,
        rows=lambda self, result: self._context.row_count,
    )
    # run(): a span each. __init__(): prepares. A statement that the server refuses here never runs, so it has its span
    # here.
    kind = require(module, "PreparedStatement")
    plan.method(kind, "run", PLAIN.method(_driver, call))
    plan.method(kind, "__init__", _preparing)


def _preparing(original: Any) -> Any:
    def read(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        return {"statement": args[1]} if len(args) > 1 else None

    place, call = "pg8000.prepare", StatementCall(read, connection=lambda self: self.con)

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        began = now()
        try:
            original(self, *args, **kwargs)
        except BaseException as error:
            span = start_span(_driver, call, self, args, kwargs, place)
            if span is not None:
                span.start_time = began
                _driver.failed(span, error, place)
            raise

    return __init__


def _facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """Without a database, the server takes the one of the user's name. The peer of a given `sock` is unknown."""
    user, database = argument(args, kwargs, 0, "user"), argument(args, kwargs, 2, "database")
    host, port = argument(args, kwargs, 1, "host", "localhost"), argument(args, kwargs, 3, "port", 5432)
    path = argument(args, kwargs, 6, "unix_sock")
    if argument(args, kwargs, 13, "sock") is not None:
        host = None
    return shared_facts("pg8000", host, port, socket=path is not None, instance=database or user, user=user)
