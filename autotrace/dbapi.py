"""Cursors and connections of any PEP 249 driver: a span per statement and per failed connect. Knows no driver.

Limits: fetches, commits, rollbacks and connects that succeed have no span. Parameters are never looked at.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace import sql
from autotrace.containment import contained
from autotrace.semantics import database
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.around import argument, failed, finish
from autotrace.tracing.current import enter, leave
from autotrace.tracing.span import now
from autotrace.tracing.tracer import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.span import Span

    Facts = dict[str, Any]
    Read = Callable[[tuple[Any, ...], dict[str, Any]], Facts | None]

CLIENT = SpanKind.CLIENT
SHORT = 1024
"""Characters or bytes of a statement that is kept by reference without asking how much of it will be read."""


class Asynchronous(SharedFacts):
    """The facts of a connection on which a statement returns before its answer: its span waits here for the driver to report it."""

    __slots__ = ("waiting",)

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self.waiting: Span | None = None


class Driver:
    """What a patch says of its driver.

    component: the library. system: `db.system.name`. facts_of(connection) -> its SharedFacts, of None too; it must not raise.
    sqlstate: the attribute of the driver's exceptions that holds it.
    """

    def __init__(
        self, component: str, system: str, facts_of: Callable[[Any], SharedFacts], sqlstate: str | None = None
    ) -> None:
        self.component = component
        self.family = database.family(system)
        self.facts_of = facts_of
        self.sqlstate = sqlstate

    def statement(self, read: Read) -> Callable[[Any], Any]:
        """What gives a cursor's method that sends a statement a span, current meanwhile.

        read(args, kwargs), without self, -> the span's facts, or None: no statement, hence no span.
        Written out rather than made of around.traced(): fewer calls, on the hottest path there is.
        """
        family, facts_of, failed = self.family, self.facts_of, self.failed

        def make(original: Any) -> Any:
            place = f"{self.component}.{original.__name__}"

            def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                span = None
                try:
                    facts = read(args, kwargs)
                    if facts is not None:
                        shared = facts_of(getattr(self, "connection", None))
                        span = start(family, CLIENT, facts, shared)
                        if span is not None:
                            token = enter(span)
                except Exception:
                    span = None
                    contained(place)
                if span is None:
                    return original(self, *args, **kwargs)
                try:
                    result = original(self, *args, **kwargs)
                except BaseException as error:
                    leave(token)
                    failed(span, error, place)
                    raise
                leave(token)
                try:
                    if type(shared) is Asynchronous:
                        shared.waiting = span
                    else:
                        rows = self.rowcount
                        if rows >= 0:
                            span.facts["rows"] = rows
                        span.end()
                except Exception:
                    contained(place)
                return result

            return call

        return make

    def answered(self, shared: SharedFacts, error: BaseException | None, place: str) -> None:
        """End the span of the statement that waits on an asynchronous connection, if one does. Never raises."""
        if type(shared) is Asynchronous and shared.waiting is not None:
            span, shared.waiting = shared.waiting, None
            if error is None:
                finish(span, place)
            else:
                self.failed(span, error, place)

    def connect(self, original: Any) -> Any:
        """`original`, the `__init__` of connections, with a span if it fails; a TypeError is a wrong call, no connect."""
        place, not_connected = f"{self.component}.connect", self.not_connected

        def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
            begun = now()
            try:
                original(self, *args, **kwargs)
            except BaseException as error:
                if not isinstance(error, TypeError):
                    not_connected(self, begun, error, place)
                raise

        return __init__

    def not_connected(self, connection: Any, begun: int, error: BaseException, place: str) -> None:
        """The span of a connect that began at `begun` (ns since the epoch) and failed. Never raises."""
        try:
            span = start(self.family, CLIENT, {"operation": "connect"}, self.facts_of(connection))
            if span is not None:
                span.start_time = begun
                self.failed(span, error, place)
        except Exception:
            contained(place)

    def failed(self, span: Span, error: BaseException, place: str) -> None:
        """End a span with the driver's exception and its SQLSTATE. Never raises."""
        try:
            code = getattr(error, self.sqlstate, None) if self.sqlstate else None
            if code is not None:
                span.facts["sqlstate"] = code
        except Exception:
            contained(place)
        failed(span, error, place)


class ByIdentity:
    """facts_of() for connections that take no attribute but a weak reference: read(connection) at the first use, dropped with it."""

    def __init__(self, read: Callable[[Any], SharedFacts]) -> None:
        self.read = read
        self.known: dict[int, tuple[SharedFacts, weakref.ref[Any]]] = {}

    def __call__(self, connection: Any) -> SharedFacts:
        found = self.known.get(id(connection))
        if found is not None:
            return found[0]
        shared = self.read(connection)
        if connection is not None:
            key = id(connection)
            self.known[key] = (shared, weakref.ref(connection, lambda _: self._forget(key)))
        return shared

    def _forget(self, key: int) -> None:
        shared = self.known.pop(key)[0]
        if type(shared) is Asynchronous and shared.waiting is not None:
            finish(shared.waiting, "a dropped connection")


def text(parameter: str) -> Read:
    """Reads the statement from the first argument, named `parameter`."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        found: Any = args[0] if args else kwargs.get(parameter)
        kind = type(found)
        if (kind is str or kind is bytes) and len(found) > SHORT:
            found = head(found)
        return None if found is None else {"statement": found}

    return read


def batch(parameter: str, sets: str) -> Read:
    """Like text(); and how many sets of parameters the second argument holds, where that can be known without using it up."""
    statement = text(parameter)

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        facts = statement(args, kwargs)
        given = argument(args, kwargs, 1, sets)
        if facts is not None and isinstance(given, (list, tuple)) and len(given) > 1:
            facts["batch"] = len(given)  # OpenTelemetry: one is no batch
        return facts

    return read


def head(statement: str | bytes) -> str | bytes:
    """As much as an exporter reads and one more: a statement of megabytes must not wait in the queue for its export."""
    room = database.limit + sql.SLACK
    return statement[: room + 1 if isinstance(statement, str) else 4 * room + 4]
