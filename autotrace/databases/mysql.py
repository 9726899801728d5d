"""What the drivers of MySQL and MariaDB have in common: whom they call, and how they number errors and count rows. Knows no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.databases.driver import Driver, batch, text
from autotrace.databases.sql_comments import commented
from autotrace.databases.traced_methods import Way, awaited, called, part, whole, whole_awaited
from autotrace.semantics.family import SharedFacts

if TYPE_CHECKING:
    from collections.abc import Callable

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


def shared(component: str, host: Any, port: Any, socket: Any, database: Any, user: Any) -> SharedFacts:
    """The facts of a connection. A Unix socket has no peer. Names may be bytes, and nothing of it need be known."""
    facts: dict[str, Any] = {"component": component}
    for fact, value in (("instance", database), ("user", user)):
        if value:
            facts[fact] = _str(value)
    if socket:
        facts["remote"] = ("", None)
    elif host:
        name = _str(host)
        facts["remote"] = (name, port if isinstance(port, int) and port else None)
        facts["service"] = name
    return SharedFacts(facts)


def _str(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


class Cursors:
    """How the methods of a driver's cursors are traced, one span for each call of the program's.

    names: of the parameters of execute (the statement), executemany (its sets of parameters) and callproc (the procedure).
    connection(cursor) -> what the driver's facts_of() takes. awaits: they are `async def`.
    asks: execute() may ask the server something of its own on the way, with another cursor of the connection (its mode, its warnings).
    """

    def __init__(
        self,
        us: Driver,
        names: tuple[str, str, str],
        connection: Callable[[Any], Any] = lambda self: self.connection,
        asks: bool = False,
        awaits: bool = False,
    ) -> None:
        self.us = us
        self.called: Callable[[Driver, Way], Make] = awaited if awaits else called
        self.whole: Callable[[Make, Callable[[Any], Any]], Make] = whole_awaited if awaits else whole
        self.connection = connection
        self.asks = asks
        self.at_work = connection if asks else _itself
        self.statement, self.sets, self.procedure = names

    def execute(self, *, prepared: bool = False) -> Make:
        """prepared: the server keeps the statement, so it gets no comment."""
        read = text(self.statement)
        make = self.called(self.us, self._way(lambda cursor, args, kwargs: read(args, kwargs)))
        if self.asks:
            make = self.whole(make, self.at_work)
        return make if prepared else commented(self.us, self.statement, make)

    def executemany(self) -> Make:
        """It may go through execute(), once or for each set of parameters: all of it is one span."""
        read = batch(self.statement, self.sets)
        return self.whole(
            self.called(self.us, self._way(lambda cursor, args, kwargs: read(args, kwargs))), self.at_work
        )

    def callproc(self) -> Make:
        """Likewise: `SET` for its arguments, `CALL`, `SELECT` for what comes back."""
        read = text(self.procedure)

        def call(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
            facts = read(args, kwargs)
            return None if facts is None else {"statement": f"CALL {_str(facts['statement'])}"}

        return self.whole(self.called(self.us, self._way(call)), self.at_work)

    def of_its_own(self) -> Make:
        """What asks the server something for the driver: statements on the way are none of the program's."""
        return self.whole(_itself, self.at_work)

    def _way(self, read: Any) -> Way:
        return Way(part(read, self.at_work), self.connection, _rows)


def _itself(it: Any) -> Any:
    return it


def _rows(cursor: Any, result: Any) -> int | None:
    rows = cursor.rowcount
    return rows if rows is not None and rows < UNKNOWN_ROWS else None
