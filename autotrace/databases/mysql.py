"""What the drivers of MySQL and MariaDB share: the methods of their cursors, and how they number errors and count rows. Knows no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.databases.connection_facts import shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.sql_comments import commented
from autotrace.databases.statement_arguments import many_argument, procedure_argument, statement_argument
from autotrace.databases.styles import PLAIN, Style
from autotrace.databases.traced_methods import StatementCall, itself, unless_nested
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.statement_arguments import Read
    from autotrace.patching import Plan
    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.span import Span

    Make = Callable[[Any], Any]

UNKNOWN_ROWS = 1 << 63
"""-1 as the client library writes it, 64 bits without a sign: rows that are not counted (yet)."""


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


def asked(component: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """What the arguments of a connect say, as the client library takes them.

    What an option file would add is not known before the connect, nor is it read here.
    """
    host, port = argument(args, kwargs, 0, "host"), argument(args, kwargs, 4, "port") or 3306
    # To the library, no host and `localhost` are a Unix socket, whatever the port.
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

    parameters: the names of execute's (the statement), executemany's (its sets of parameters) and callproc's (the procedure).
    connection(cursor) -> what the driver's facts_of() takes. prepares: the server keeps each statement, so it gets no comment.
    asks: on its way, execute() may ask the server something of its own by another cursor of the connection (its mode, its warnings).
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
        """The object that calls other traced methods."""

    def trace(self, plan: Plan, Cursor: Any) -> None:
        """The three that send SQL, on the class that defines them: other cursor classes override only what reads rows."""
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
        """For a method by which the driver asks the server something for itself: statements on its way make no span."""
        return self._outermost(itself)

    def _traced(self, read: Read) -> Make:
        call = StatementCall(unless_nested(read, self.caller), self.connection, _rows)
        made: Make = self.style.method(self.driver, call)
        return made

    def _outermost(self, make: Make) -> Make:
        made: Make = self.style.outermost(make, self.caller)
        return made


def _rows(cursor: Any, result: Any) -> int | None:
    rows = cursor.rowcount
    return rows if rows is not None and rows < UNKNOWN_ROWS else None
