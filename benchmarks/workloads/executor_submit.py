"""ThreadPoolExecutor.submit() inside a span. The one worker is busy meanwhile, so that waking it up is not measured."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.timed import Work, nothing

COUNT = 8000
NEEDS = ()
CALLS = True


def prepare(count: int) -> Work:
    from opentelemetry import context, trace

    context.attach(trace.set_span_in_context(trace.get_tracer("benchmark").start_span("work")))
    executor = ThreadPoolExecutor(1)
    gate = _block(executor)

    def settle() -> None:
        nonlocal gate
        last = executor.submit(nothing)
        gate.set()
        last.result()
        gate = _block(executor)

    def end() -> None:
        gate.set()

    return Work(partial(executor.submit, nothing), settle, end)


def _block(executor: ThreadPoolExecutor) -> threading.Event:
    gate = threading.Event()
    executor.submit(gate.wait)
    return gate
