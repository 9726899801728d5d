"""The span of a call that returns before it is done: rows one by one, the block of a COPY. Knows no driver.

The span lasts from the first step to the last. It is never active, because the program works between the steps.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from autotrace.databases.traced_methods import end_statement, start_span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from autotrace.databases.driver import Driver, Make
    from autotrace.databases.traced_methods import StatementCall
    from autotrace.tracing.span import Span


class _Stream:
    """The block of a `with` in which a program reads the stream: a span from its begin to its end."""

    __slots__ = ("args", "call", "driver", "kwargs", "place", "self", "span", "stream")

    def __init__(
        self, driver: Driver, call: StatementCall, place: str, stream: Any, self_: Any, args: Any, kwargs: Any
    ) -> None:
        self.driver = driver
        self.call = call
        self.place = place
        self.stream = stream
        self.self = self_
        self.args = args
        self.kwargs = kwargs
        self.span: Span | None = None

    def __enter__(self) -> Any:
        self.span = start_span(self.driver, self.call, self.self, self.args, self.kwargs, self.place)
        return self.stream

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.span is None:
            return
        if error is None:
            end_statement(self.call, self.self, self.span, None, self.place)
        else:
            self.driver.failed(self.span, error, self.place)


class _Rows(_Stream):
    """A program that stops reading rows closes the generator. That is no error."""

    __slots__ = ()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        super().__exit__(kind, None if kind is GeneratorExit else error, trace)


def _traced(
    stand_in: Callable[[Any], Any], stream: type[_Stream], names: tuple[str, ...] = ()
) -> Callable[[Driver, StatementCall], Make]:
    """stand_in(stream) -> the generator or context manager for the program; `names` are those of the driver's."""

    def making(driver: Driver, call: StatementCall) -> Make:
        def make(original: Any) -> Any:
            place = f"{driver.component}.{original.__name__}"

            def traced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                # The original is called at once: it returns a generator or a context manager, and refuses a wrong call.
                result = original(self, *args, **kwargs)
                replacement = stand_in(stream(driver, call, place, result, self, args, kwargs))
                for name in names:
                    setattr(replacement, name, getattr(result, name))
                return replacement

            return traced

        return make

    return making


def _rows(stream: _Stream) -> Iterator[Any]:
    with stream as rows:
        yield from rows


async def _async_rows(stream: _Stream) -> AsyncIterator[Any]:
    with stream as rows:
        try:
            async for row in rows:
                yield row
        finally:
            await rows.aclose()


@contextmanager
def _block(stream: _Stream) -> Iterator[Any]:
    with stream as block, block as entered:
        yield entered


@asynccontextmanager
async def _async_block(stream: _Stream) -> AsyncIterator[Any]:
    with stream as block:
        async with block as entered:
            yield entered


_OF_A_GENERATOR = ("__name__", "__qualname__")

traced_rows = _traced(_rows, _Rows, _OF_A_GENERATOR)
"""Gives a generator method its span."""
traced_async_rows = _traced(_async_rows, _Rows, _OF_A_GENERATOR)
traced_block = _traced(_block, _Stream)
"""Gives a method that returns a context manager its span."""
traced_async_block = _traced(_async_block, _Stream)
