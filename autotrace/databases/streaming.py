"""Calls that hand the control back before they are done: rows one by one, the block of a COPY. A span from the first step to the last.

It is never current: the program works meanwhile, and what it does is no part of the statement. To break off is no error.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from autotrace.databases.traced_methods import end, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from autotrace.databases.driver import Driver
    from autotrace.databases.traced_methods import Way
    from autotrace.tracing.span import Span

    Make = Callable[[Any], Any]


class _Call:
    """One call of such a method, and its span once it has begun."""

    __slots__ = ("args", "given", "kwargs", "place", "self", "span", "us", "way")

    def __init__(
        self, us: Driver, way: Way, place: str, given: Any, of: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.us = us
        self.way = way
        self.place = place
        self.given = given
        self.self = of
        self.args = args
        self.kwargs = kwargs
        self.span: Span | None = None

    def begin(self) -> Any:
        """What the original has returned."""
        self.span = opened(self.us, self.way, self.self, self.args, self.kwargs, self.place)
        return self.given

    def end(self) -> None:
        if self.span is not None:
            end(self.way, self.self, self.span, None, self.place)

    def fail(self, error: BaseException) -> None:
        if self.span is not None:
            self.us.failed(self.span, error, self.place)


def _handing(handed: Callable[[_Call], Any], names: tuple[str, ...] = ()) -> Callable[[Driver, Way], Make]:
    """handed(call) -> what the program gets for what the original has returned, with the same `names`."""

    def making(us: Driver, way: Way) -> Make:
        def make(original: Any) -> Any:
            place = f"{us.component}.{original.__name__}"

            def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                # The original is called at once: it returns a generator or a context manager, and refuses a wrong call.
                given = original(self, *args, **kwargs)
                ours = handed(_Call(us, way, place, given, self, args, kwargs))
                for name in names:
                    setattr(ours, name, getattr(given, name))
                return ours

            return call

        return make

    return making


def _rows(call: _Call) -> Iterator[Any]:
    try:
        yield from call.begin()
    except GeneratorExit:
        call.end()
        raise
    except BaseException as error:
        call.fail(error)
        raise
    call.end()


async def _async_rows(call: _Call) -> AsyncIterator[Any]:
    rows = call.begin()
    try:
        try:
            async for row in rows:
                yield row
        finally:
            await rows.aclose()
    except GeneratorExit:
        call.end()
        raise
    except BaseException as error:
        call.fail(error)
        raise
    call.end()


@contextmanager
def _block(call: _Call) -> Iterator[Any]:
    try:
        with call.begin() as given:
            yield given
    except BaseException as error:
        call.fail(error)
        raise
    call.end()


@asynccontextmanager
async def _async_block(call: _Call) -> AsyncIterator[Any]:
    try:
        async with call.begin() as given:
            yield given
    except BaseException as error:
        call.fail(error)
        raise
    call.end()


_OF_A_GENERATOR = ("__name__", "__qualname__")

rows_of = _handing(_rows, _OF_A_GENERATOR)
"""What gives a generator method its span."""
async_rows_of = _handing(_async_rows, _OF_A_GENERATOR)
block_of = _handing(_block)
"""What gives a method that returns a context manager its span."""
async_block_of = _handing(_async_block)
