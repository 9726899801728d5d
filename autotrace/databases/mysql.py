"""The drivers of MySQL and MariaDB: their cursors, connect arguments, error numbers and row counts.

Knows no driver. A driver like the others is traced by a few lines: patches/pymysql.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.databases.connection_facts import shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.outermost import unless_nested
from autotrace.databases.sql_comments import commented
from autotrace.databases.statement_arguments import many_argument, procedure_argument, statement_argument
from autotrace.databases.styles import PLAIN, Style
from autotrace.databases.traced_methods import StatementCall, itself
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Make
    from autotrace.databases.statement_arguments import Read
    from autotrace.patching import Plan
    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.span import Span

UNKNOWN_ROWS = 1 << 63
"""The client library writes -1 in 64 bits without a sign: the rows are not counted yet, or never."""


class MySQL(Driver):
    """A driver whose exceptions hold the server's number: as `errno`, or as their first argument."""

    def failed(self, span: Span, error: BaseException, place: str) -> None:
        try:
            if type(error).__module__.startswith(self.component):
                number = getattr(error, "errno", None) or (error.args[0] if error.args else None)
                if isinstance(number, int) and number > 0:
                    span.facts["errno"] = number
        except Exception:
            contained(place)
        super().failed(span, error, place)


def facts_of_arguments(component: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """The facts that the arguments of a connect tell, in the order of the client library. Option files are not read."""
    host, port = argument(args, kwargs, 0, "host"), argument(args, kwargs, 4, "port") or 3306
    # Without a host, or with `localhost`, the library takes a Unix socket, whatever the port.
    socket = argument(args, kwargs, 5, "unix_socket") or host in (None, "", "localhost")
    instance, user = names(args, kwargs)
    return shared_facts(component, host, port, socket=socket, instance=instance, user=user)


def names(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """(database, user) of the arguments of a connect."""
    return (
        argument(args, kwargs, 3, "database") or kwargs.get("db"),
        argument(args, kwargs, 1, "user") or kwargs.get("username"),
    )


class Cursors:
    """How the methods of a driver's cursors are traced: one span for each call that the program makes.

    parameters: the names of the statement, of executemany()'s sets of parameters, of callproc()'s procedure.
    connection(cursor) -> the argument of the driver's facts_of().
    asks: execute() may ask the server for its mode or its warnings, by another cursor of the same connection.
    prepares: the server keeps each statement, so statements get no comment.
    """

    def __init__(
        self,
        driver: Driver,
        parameters: tuple[str, str, str],
        connection: Callable[[Any], Any] = lambda self: self.connection,
        *,
        asks: bool = False,
        prepares: bool = False,
        style: Style = PLAIN,
    ) -> None:
        self.driver = driver
        self.statement, self.sets, self.procedure = parameters
        self.connection = connection
        self.asks = asks
        self.prepares = prepares
        self.style = style
        self.caller = connection if asks else itself
        """caller(cursor) -> the object on which one traced method may call another."""

    def trace(self, plan: Plan, Cursor: Any) -> None:
        """The three that send SQL, on the class that defines them: its subclasses override only the reading of rows."""
        self.trace_statements(plan, Cursor, prepares=self.prepares)
        # callproc() sends `SET` for its arguments, `CALL`, `SELECT` for what comes back: all of it is one span.
        call = self._outermost(self._traced(procedure_argument(self.procedure)))
        plan.method(Cursor, "callproc", call, parameters=(self.procedure,))

    def trace_statements(self, plan: Plan, Cursor: Any, *, prepares: bool) -> None:
        execute = self._traced(statement_argument(self.statement))
        if self.asks:
            execute = self._outermost(execute)
        if not prepares:
            execute = commented(self.driver, self.statement, execute)
        plan.method(Cursor, "execute", execute, parameters=(self.statement,))
        # executemany() may go through execute(), once or for each set of parameters: all of it is one span.
        many = self._outermost(self._traced(many_argument(self.statement, self.sets)))
        plan.method(Cursor, "executemany", many, parameters=(self.statement, self.sets))

    def silent(self) -> Make:
        """For a method by which the driver asks the server something for itself: no span."""
        return self._outermost(itself)

    def _traced(self, read: Read) -> Make:
        call = StatementCall(unless_nested(read, self.caller), self.connection, _rows)
        return self.style.method(self.driver, call)

    def _outermost(self, make: Make) -> Make:
        return self.style.outermost(make, self.caller)


def _rows(cursor: Any, result: Any) -> int | None:
    rows = cursor.rowcount
    return rows if rows is not None and rows < UNKNOWN_ROWS else None
