"""Inside the measured process: the CPU that `count` operations take, of the thread that does them and of the whole process.

The operation repeated is what a program would write; connections, warm caches and the export's connection stand before the clock starts.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from itertools import repeat
from operator import attrgetter
from time import process_time_ns, thread_time_ns
from typing import Any, NamedTuple


def nothing() -> None:
    pass


class Work(NamedTuple):
    """`once`: one operation. `settle`: waits for what operations leave to other threads; inside the process's time, not the thread's.
    `end`: after the clock has stopped. `many`: repeats the operation itself, where that must stay within one task."""

    once: Callable[[], object]
    settle: Callable[[], object] = nothing
    end: Callable[[], object] = nothing
    many: Callable[[int], object] | None = None


def timed(work: Work, count: int) -> dict[str, float]:
    """Microseconds an operation: `process` (all threads, the export of every span included) and `thread` (the program's own)."""
    flush = flusher()
    many = work.many or partial(_many, work.once)
    many(max(20, count // 10))
    work.settle()
    flush()
    gc.collect()
    process, thread = process_time_ns(), thread_time_ns()
    many(count)
    thread = thread_time_ns() - thread
    work.settle()
    flush()
    process = process_time_ns() - process
    work.end()
    return {"process": process / count / 1000, "thread": thread / count / 1000}


def _many(once: Callable[[], object], count: int) -> None:
    for _ in repeat(None, count):
        once()


def begin(inside: bool) -> None:
    """What the agent leaves to the program; `inside`: with a caller's span open, if the agent traces calls only inside one."""
    module, _, path = os.environ.get("BENCHMARK_BEGIN", "").partition(":")
    if module:
        attrgetter(path)(import_module(module))(inside)


def flusher() -> Callable[[], Any]:
    """The agent's own way of sending all finished spans; nothing without an agent."""
    module, _, path = os.environ.get("BENCHMARK_FLUSH", "").partition(":")
    found: Callable[[], Any] = attrgetter(path)(import_module(module)) if module else nothing
    return found


def force_flush() -> None:
    """Of the OpenTelemetry provider in force."""
    trace = sys.modules.get("opentelemetry.trace")
    flush = getattr(trace and trace.get_tracer_provider(), "force_flush", None)
    if flush is not None and flush() is False:
        print("force_flush() did not send everything", file=sys.stderr)
