"""Calls that send SQL, on whatever object, awaited or not; and methods that run others of the same object. Knows no driver.

dbapi.Driver.statement() is the short cut for the cursors of PEP 249; this is the way for all the rest.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.tracing.current import enter, leave
from autotrace.tracing.traced_call import end_span
from autotrace.tracing.tracer import start

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from autotrace.databases.driver import Driver
    from autotrace.tracing.span import Span

    Make = Callable[[Any], Any]
    Read = Callable[[Any, tuple[Any, ...], dict[str, Any]], dict[str, Any] | None]

CLIENT = SpanKind.CLIENT

_whole: ContextVar[Any] = ContextVar("autotrace-whole", default=None)
"""The object whose method is at work on what its other methods are called for: theirs are no statements of the program's."""


class Way:
    """How a method sends a statement: what to read of the call, and where its connection and its rows are found.

    read(self, args, kwargs) -> the span's facts, or None: no statement, hence no span.
    connection(self) -> what the driver's facts_of() takes. rows(self, result) -> rows affected; None or below 0: not known.
    later(self, span) -> whether the answer is still to come, and the span kept for it.
    """

    __slots__ = ("connection", "later", "read", "rows")

    def __init__(
        self,
        read: Read,
        connection: Callable[[Any], Any] = lambda self: self.connection,
        rows: Callable[[Any, Any], int | None] = lambda self, result: None,
        later: Callable[[Any, Span], bool] = lambda self, span: False,
    ) -> None:
        self.read = read
        self.connection = connection
        self.rows = rows
        self.later = later


def called(us: Driver, way: Way) -> Make:
    """What gives a method a span, current meanwhile."""

    def make(original: Any) -> Any:
        place = f"{us.component}.{original.__name__}"

        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            begun = begin(us, way, self, args, kwargs, place)
            if begun is None:
                return original(self, *args, **kwargs)
            span, token = begun
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                leave(token)
                fail(us, way, self, span, error, place)
                raise
            leave(token)
            end(way, self, span, result, place)
            return result

        return call

    return make


def awaited(us: Driver, way: Way) -> Make:
    """called() for an `async def`: current in the awaiting task alone; a cancelled one ends with the CancelledError."""

    def make(original: Any) -> Any:
        place = f"{us.component}.{original.__name__}"

        async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            begun = begin(us, way, self, args, kwargs, place)
            if begun is None:
                return await original(self, *args, **kwargs)
            span, token = begun
            try:
                result = await original(self, *args, **kwargs)
            except BaseException as error:
                leave(token)
                fail(us, way, self, span, error, place)
                raise
            leave(token)
            end(way, self, span, result, place)
            return result

        return call

    return make


def begin(
    us: Driver, way: Way, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any], place: str
) -> tuple[Span, Any] | None:
    """(the span, the token that leave() takes); None where there is none. Never raises."""
    span = opened(us, way, self, args, kwargs, place)
    try:
        return None if span is None else (span, enter(span))
    except Exception:
        contained(place)
        return None


def opened(us: Driver, way: Way, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any], place: str) -> Span | None:
    """A span that is not current, for a call that hands the control back before it is done (rows one by one, COPY). Never raises."""
    try:
        facts = way.read(self, args, kwargs)
        return None if facts is None else start(us.family, CLIENT, facts, us.facts_of(way.connection(self)))
    except Exception:
        contained(place)
        return None


def end(way: Way, self: Any, span: Span, result: Any, place: str) -> None:
    """End the span of a call that went well. Never raises."""
    try:
        if way.later(self, span):
            return
        rows = way.rows(self, result)
        if rows is not None and rows >= 0:
            span.facts["rows"] = rows
    except Exception:
        contained(place)
    end_span(span, place)


def fail(us: Driver, way: Way, self: Any, span: Span, error: BaseException, place: str) -> None:
    """End the span of a call that raised, unless its own answer is still to come: then the error was another's. Never raises."""
    try:
        if way.later(self, span):
            return
    except Exception:
        contained(place)
    us.failed(span, error, place)


def of_arguments(read: Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any] | None]) -> Read:
    """text() and its like, which know no `self`, as a Way takes them."""
    return lambda self, args, kwargs: read(args, kwargs)


def whole(make: Make, of: Callable[[Any], Any] = lambda self: self) -> Make:
    """make(), for a method that calls methods of its own object: those of them that are read by part() have no span meanwhile.

    of(self) -> the object, where it is another one.
    """

    def making(original: Any) -> Any:
        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            token = _whole.set(of(self))
            try:
                return original(self, *args, **kwargs)
            finally:
                _unmark(token)

        return make(update_wrapper(call, original))

    return making


def whole_awaited(make: Make, of: Callable[[Any], Any] = lambda self: self) -> Make:
    """whole() for an `async def`."""

    def making(original: Any) -> Any:
        async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            token = _whole.set(of(self))
            try:
                return await original(self, *args, **kwargs)
            finally:
                _unmark(token)

        return make(update_wrapper(call, original))

    return making


def _unmark(token: Token[Any]) -> None:
    try:
        _whole.reset(token)
    except ValueError:  # a coroutine that was thrown away, and closed elsewhere
        pass


def part(read: Read, of: Callable[[Any], Any] = lambda self: self) -> Read:
    """read(), for a method that those of whole() call. of: as there."""

    def reading(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        at_work = _whole.get()
        return None if at_work is not None and at_work is of(self) else read(self, args, kwargs)

    return reading
