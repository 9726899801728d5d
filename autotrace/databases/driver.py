"""A database driver as its patch describes it, and the span of each statement of its PEP 249 cursors. Knows no driver.

Limits: fetches have no span, and parameters are never looked at. Connects are in connects.py, ends of transactions in
transactions.py, calls on anything but a cursor in traced_methods.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.databases.connection_facts import AsynchronousFacts
from autotrace.semantics import database
from autotrace.tracing.current import enter, get, put
from autotrace.tracing.traced_call import end_failed, end_span
from autotrace.tracing.tracer import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.statement_arguments import Read
    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.span import Span

    Make = Callable[[Any], Any]

CLIENT = SpanKind.CLIENT


class Driver:
    """What a patch says of its driver.

    component: the library. system: `db.system.name`. sqlstate: the attribute of its exceptions that holds the SQLSTATE.
    facts_of(connection) -> the SharedFacts of a connection, or of None. It must not raise.
    """

    def __init__(
        self, component: str, system: str, facts_of: Callable[[Any], SharedFacts], sqlstate: str | None = None
    ) -> None:
        self.component = component
        self.family = database.family(system)
        self.facts_of: Any = facts_of
        self.sqlstate = sqlstate

    def statement(self, read: Read) -> Make:
        """Gives a cursor's method that sends a statement a span, which is active while the method runs.

        read(args, kwargs), without self -> the span's facts; None: the call has no statement and gets no span.
        traced_methods.traced_method() does the same with more calls. This is written out because no path is hotter.
        """
        family, facts_of, failed = self.family, self.facts_of, self.failed

        def make(original: Any) -> Any:
            place = f"{self.component}.{original.__name__}"

            def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                outer = get()
                span = None
                try:
                    try:
                        try:
                            facts = read(args, kwargs)
                            if facts is not None:
                                shared = facts_of(getattr(self, "connection", None))
                                span = start(family, CLIENT, facts, shared)
                                if span is not None:
                                    enter(span)
                        except Exception:
                            contained(place)
                            span = None
                        result = original(self, *args, **kwargs)
                        if span is None:
                            return result
                        put(outer)
                    except BaseException as error:
                        if span is not None:
                            put(outer)
                            failed(span, error, place)
                        raise
                except BaseException:
                    if span is not None:
                        put(outer)
                    raise
                try:
                    if type(shared) is AsynchronousFacts:
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

    def on_answer(self, shared: SharedFacts, error: BaseException | None, place: str) -> None:
        """End the span that waits for the answer on an asynchronous connection, if one does. Never raises."""
        if type(shared) is AsynchronousFacts and shared.waiting is not None:
            span, shared.waiting = shared.waiting, None
            if error is None:
                end_span(span, place)
            else:
                self.failed(span, error, place)

    def code_of(self, error: BaseException) -> str | None:
        """The SQLSTATE in the driver's exception. A driver that keeps it elsewhere overrides this."""
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
