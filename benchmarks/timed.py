"""Inside the measured process: the CPU that `count` operations take, of their thread and of the whole process.

The repeated operation is what a program would write. Connections, caches and the exporter's connection are ready before
the clock starts.
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
    """`once`: one operation.

    `settle`: waits for what operations leave to other threads, in the process's time, not the thread's.

    `end`: runs after the clock has stopped. `many`: repeats the operation itself, for operations that must stay within
    one task.
    """

    once: Callable[[], object]
    settle: Callable[[], object] = nothing
    end: Callable[[], object] = nothing
    many: Callable[[int], object] | None = None


def timed(work: Work, count: int) -> dict[str, float]:
    """Microseconds an operation: `process` (all threads and the export of every span) and `thread` (the program's)."""
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
    """Do what the agent leaves to the program.

    `inside`: open a caller's span, if the agent traces calls only inside one.
    """
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
