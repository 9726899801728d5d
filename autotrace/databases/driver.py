"""Cursors and connections of any PEP 249 driver: a span per statement and per failed connect. Knows no driver.

Limits: fetches have no span; commits, rollbacks and connects that succeed only by AUTOTRACE_TRACE_TRANSACTIONS and
AUTOTRACE_TRACE_CONNECTS. Parameters are never looked at.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.databases.statement_arguments import batch, head, text
from autotrace.databases.traced_methods import Way, called
from autotrace.semantics import database
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.current import enter, leave
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import end_failed, end_span
from autotrace.tracing.tracer import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.statement_arguments import Facts, Read
    from autotrace.tracing.span import Span

__all__ = ["Asynchronous", "ByIdentity", "Driver", "batch", "head", "text", "transaction"]

CLIENT = SpanKind.CLIENT


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
                end_span(span, place)
            else:
                self.failed(span, error, place)

    def transactions(self, make: Callable[[Driver, Way], Any] = called) -> dict[str, Callable[[Any], Any]]:
        """What gives a connection's commit() and rollback() a span, by name; none unless AUTOTRACE_TRACE_TRANSACTIONS asks for it.

        make: called, or awaited where they are an `async def`. Asked when a library is patched: where they are not wanted,
        the methods stay the driver's own and cost nothing.
        """
        if not database.transactions:
            return {}
        return {name: make(self, transaction(name)) for name in ("commit", "rollback")}

    def connect(self, original: Any) -> Any:
        """`original`, the `__init__` of connections, with a span if it fails; a TypeError is a wrong call, no connect.

        One that succeeds has a span too by AUTOTRACE_TRACE_CONNECTS.
        """
        place, not_connected, connected = f"{self.component}.connect", self.not_connected, self.connected

        def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
            begun = now()
            try:
                original(self, *args, **kwargs)
            except BaseException as error:
                if not isinstance(error, TypeError):
                    not_connected(self, begun, error, place)
                raise
            connected(self, begun, place)

        return __init__

    def not_connected(self, connection: Any, begun: int, error: BaseException, place: str) -> None:
        """The span of a connect that began at `begun` (ns since the epoch) and failed. Never raises."""
        self.attempted(lambda: self.facts_of(connection), begun, error, place)

    def connected(self, connection: Any, begun: int, place: str) -> None:
        """The span of one that succeeded, where AUTOTRACE_TRACE_CONNECTS asks for it. Never raises."""
        if database.connects:
            self.attempted(lambda: self.facts_of(connection), begun, None, place)

    def attempted(self, facts: Callable[[], SharedFacts], begun: int, error: BaseException | None, place: str) -> None:
        """The span of a connect, made afterwards: never current, so nothing that it leaves running holds it. Never raises."""
        try:
            shared = facts()
            span = start(self.family, CLIENT, {"operation": "connect"}, shared)
            if span is None:
                return
            span.start_time = begun
            if error is not None:
                self.failed(span, error, place)
            elif type(shared) is Asynchronous:
                shared.waiting = span  # begun only: answered() ends it
            else:
                span.end()
        except Exception:
            contained(place)

    def code_of(self, error: BaseException) -> str | None:
        """The SQLSTATE in the driver's exception; a driver that hides it elsewhere overrides this."""
        return getattr(error, self.sqlstate, None) if self.sqlstate else None

    def failed(self, span: Span, error: BaseException, place: str) -> None:
        """End a span with the driver's exception and its SQLSTATE. Never raises."""
        try:
            code = self.code_of(error)
            if code is not None:
                span.facts["sqlstate"] = code
        except Exception:
            contained(place)
        end_failed(span, error, place)


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
            self.keep(connection, shared)
        return shared

    def keep(self, connection: Any, shared: SharedFacts) -> None:
        """For a driver whose connections forget how they were made: these are the facts from now on."""
        key = id(connection)
        try:
            end = weakref.ref(connection, lambda _: self._forget(key))
        except TypeError:
            return  # a stand-in of the program's, for the driver's own take one: read again at the next use
        self.known[key] = (shared, end)

    def _forget(self, key: int) -> None:
        shared = self.known.pop(key)[0]
        if type(shared) is Asynchronous and shared.waiting is not None:
            end_span(shared.waiting, "a dropped connection")


def transaction(operation: str) -> Way:
    """The end of a transaction, called on a connection: its name is all there is to tell."""
    return Way(lambda self, args, kwargs: {"operation": operation}, connection=lambda self: self)
