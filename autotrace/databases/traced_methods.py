"""The span of a method that sends a statement, plain or awaited, on any object. Knows no driver.

Cursors of PEP 249 whose methods do not call one another have a cheaper way: Driver.statement() in driver.py.
For methods that do: outermost.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.databases.driver import CLIENT
from autotrace.tracing.current import enter, leave
from autotrace.tracing.traced_call import end_span
from autotrace.tracing.tracer import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver, Make
    from autotrace.databases.statement_arguments import Args, Facts, Kwargs, Read
    from autotrace.tracing.span import Span

    ReadMethod = Callable[[Any, Args, Kwargs], Facts | None]


def itself(it: Any) -> Any:
    return it


class StatementCall:
    """How a method sends a statement.

    read(self, args, kwargs) -> the span's facts; None: the call has no statement and gets no span.
    connection(self) -> the argument of the driver's facts_of().
    rows(self, result) -> the number of rows affected; None or below 0: unknown.
    keep_open(self, span) -> True if the answer is still to come: the span is kept, and the answer ends it.
    """

    __slots__ = ("connection", "keep_open", "read", "rows")

    def __init__(
        self,
        read: ReadMethod,
        connection: Callable[[Any], Any] = lambda self: self.connection,
        rows: Callable[[Any, Any], int | None] = lambda self, result: None,
        keep_open: Callable[[Any, Span], bool] = lambda self, span: False,
    ) -> None:
        self.read = read
        self.connection = connection
        self.rows = rows
        self.keep_open = keep_open


# Twins but for `await`. One body for both would cost each statement an object or a call.


def traced_method(driver: Driver, call: StatementCall) -> Make:
    """Gives a method a span, which is active while the method runs."""

    def make(original: Any) -> Any:
        place = f"{driver.component}.{original.__name__}"

        def traced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            entered = enter_span(driver, call, self, args, kwargs, place)
            if entered is None:
                return original(self, *args, **kwargs)
            span, token = entered
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                leave(token)
                fail_statement(driver, call, self, span, error, place)
                raise
            leave(token)
            end_statement(call, self, span, result, place)
            return result

        return traced

    return make


def traced_coroutine(driver: Driver, call: StatementCall) -> Make:
    """traced_method() for an `async def`: active in the awaiting task alone, and failed if that task is cancelled."""

    def make(original: Any) -> Any:
        place = f"{driver.component}.{original.__name__}"

        async def traced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            entered = enter_span(driver, call, self, args, kwargs, place)
            if entered is None:
                return await original(self, *args, **kwargs)
            span, token = entered
            try:
                result = await original(self, *args, **kwargs)
            except BaseException as error:
                leave(token)
                fail_statement(driver, call, self, span, error, place)
                raise
            leave(token)
            end_statement(call, self, span, result, place)
            return result

        return traced

    return make


def enter_span(
    driver: Driver, call: StatementCall, self: Any, args: Args, kwargs: Kwargs, place: str
) -> tuple[Span, Any] | None:
    """(the span, now active; the token for leave()), or None if there is no span. Never raises."""
    span = start_span(driver, call, self, args, kwargs, place)
    try:
        return None if span is None else (span, enter(span))
    except Exception:
        contained(place)
        return None


def start_span(driver: Driver, call: StatementCall, self: Any, args: Args, kwargs: Kwargs, place: str) -> Span | None:
    """A span that is not active, for a call that returns before it is done. Never raises."""
    try:
        facts = call.read(self, args, kwargs)
        return None if facts is None else start(driver.family, CLIENT, facts, driver.facts_of(call.connection(self)))
    except Exception:
        contained(place)
        return None


def end_statement(call: StatementCall, self: Any, span: Span, result: Any, place: str) -> None:
    """End the span of a call that went well. Never raises."""
    try:
        if call.keep_open(self, span):
            return
        rows = call.rows(self, result)
        if rows is not None and rows >= 0:
            span.facts["rows"] = rows
    except Exception:
        contained(place)
    end_span(span, place)


def fail_statement(
    driver: Driver, call: StatementCall, self: Any, span: Span, error: BaseException, place: str
) -> None:
    """End the span of a call that raised. If its answer is still to come, another call failed. Never raises."""
    try:
        if call.keep_open(self, span):
            return
    except Exception:
        contained(place)
    driver.failed(span, error, place)


def of_arguments(read: Read) -> ReadMethod:
    """A reader of statement_arguments.py, which takes no `self`, as StatementCall wants it."""
    return lambda self, args, kwargs: read(args, kwargs)
