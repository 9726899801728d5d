"""Runs an operation again and again, each time with an exception raised at the next bytecode boundary of autotrace's
own code.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import autotrace

OURS = str(Path(autotrace.__file__).parent) + "/"
FINALIZERS = ("__del__", "_close_pool_connections", "on_eof", "feed_eof")
"""CPython itself swallows whatever is raised in the first two, aiohttp in the others: bare programs lose it there, too.
"""


class Timeout(Exception):
    """An exception of the program's, as a signal handler raises it."""


class Strike:
    """A trace function that raises `error` at the `nth` bytecode boundary of autotrace's code in this thread."""

    def __init__(self, error: BaseException, nth: int) -> None:
        self.error = error
        self.nth = nth
        self.count = 0
        self.where = ""
        """File, function and line that were struck; '' if the operation has fewer boundaries."""

    def __enter__(self) -> Strike:
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: Any, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS) or _finalizing(frame):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: Any, event: str, arg: Any) -> Any:
        if event == "opcode":
            self.count += 1
            if self.count == self.nth:
                self.where = f"{frame.f_code.co_filename[len(OURS) :]}:{frame.f_lineno} in {frame.f_code.co_name}"
                raise self.error
        return self._step


def _finalizing(frame: Any) -> bool:
    while frame is not None:
        if frame.f_code.co_name in FINALIZERS:
            return True
        frame = frame.f_back
    return False


def strikes(
    run: Callable[[], Any], make: type[BaseException], every: int = 1
) -> Iterator[tuple[Strike, BaseException | None]]:
    """(the strike, what run() raised) for the first boundary, the second, … until run() has no more of them."""
    nth = 1
    gc.disable()  # finalizers must not run within a strike, because CPython swallows what is raised in them
    try:
        while True:
            strike = Strike(make("struck"), nth)
            raised: BaseException | None = None
            try:
                with strike:
                    run()
            except BaseException as error:
                raised = error
            if not strike.where:
                return
            yield strike, raised
            strike.error.__traceback__ = None  # confluent-kafka keeps what a delivery report raises, and so its frames
            nth += every
            if not nth % 100:
                gc.collect()
    finally:
        gc.enable()
