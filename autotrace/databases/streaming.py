"""The span of a call that returns before it is done: rows one by one, the block of a COPY. Knows no driver.

The span lasts from the first step to the last. It is never active, because the program works between the steps.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from autotrace.databases.traced_methods import end_statement, start_span
from autotrace.patching import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import CodeType

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


def _traced(stand_in: Callable[[Any], Any]) -> Callable[[Driver, StatementCall], Make]:
    """stand_in(stream) -> the context manager for the program."""

    def making(driver: Driver, call: StatementCall) -> Make:
        def make(original: Any) -> Any:
            place = f"{driver.component}.{original.__name__}"

            def traced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                # The original is called at once: it returns a context manager, and refuses a wrong call.
                block = original(self, *args, **kwargs)
                return stand_in(_Stream(driver, call, place, block, self, args, kwargs))

            return traced

        return make

    return making


# A generator function stays one, with the parameters of the original, because programs inspect it, and because a wrong
# call is refused at once and not at the first row. So it is written for each original.
_ROWS = """
def {name}({parameters}):
    with _autotrace_begin({arguments}) as _autotrace_rows:
        try:
            yield from _autotrace_rows
        finally:
            _autotrace_rows.close()  # it may hold the connection, if an exception struck between the two generators
"""
_ASYNC_ROWS = """
async def {name}({parameters}):
    with _autotrace_begin({arguments}) as _autotrace_rows:
        try:
            async for _autotrace_row in _autotrace_rows:
                yield _autotrace_row
        finally:
            await _autotrace_rows.aclose()
"""


def _traced_generator(source: str) -> Callable[[Driver, StatementCall], Make]:
    def making(driver: Driver, call: StatementCall) -> Make:
        def make(original: Any) -> Any:
            place = f"{driver.component}.{original.__name__}"

            def begin(self: Any, /, *args: Any, **kwargs: Any) -> _Rows:
                return _Rows(driver, call, place, original(self, *args, **kwargs), self, args, kwargs)

            parameters, arguments = _signature(require(original, "__code__"))
            space: dict[str, Any] = {"__name__": __name__, "_autotrace_begin": begin}
            text = source.format(name=original.__name__, parameters=parameters, arguments=arguments)
            exec(compile(text, __file__, "exec"), space)
            traced = space[original.__name__]
            traced.__defaults__, traced.__kwdefaults__ = original.__defaults__, original.__kwdefaults__
            return traced

        return make

    return making


_VARIADIC, _KEYWORDS = 0x04, 0x08
"""Flags of a function's code: it takes *args, it takes **kwargs."""


def _signature(code: CodeType) -> tuple[str, str]:
    """(the parameters of a function without their defaults, the arguments that pass them on)"""
    names, count, end = code.co_varnames, code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    parameters, arguments = list(names[:count]), list(names[:count])
    if code.co_posonlyargcount:
        parameters.insert(code.co_posonlyargcount, "/")
    several = f"*{names[end]}" if code.co_flags & _VARIADIC else ""
    if several or end > count:
        parameters.append(several or "*")
        arguments += [several] if several else []
    parameters += names[count:end]
    arguments += [f"{name}={name}" for name in names[count:end]]
    if code.co_flags & _KEYWORDS:
        named = f"**{names[end + bool(several)]}"
        parameters.append(named)
        arguments.append(named)
    return ", ".join(parameters), ", ".join(arguments)


traced_rows = _traced_generator(_ROWS)
"""Gives a generator method its span."""
traced_async_rows = _traced_generator(_ASYNC_ROWS)


@contextmanager
def _block(stream: _Stream) -> Iterator[Any]:
    with stream as block, block as entered:
        yield entered


@asynccontextmanager
async def _async_block(stream: _Stream) -> AsyncIterator[Any]:
    with stream as block:
        async with block as entered:
            yield entered


traced_block = _traced(_block)
"""Gives a method that returns a context manager its span."""
traced_async_block = _traced(_async_block)
