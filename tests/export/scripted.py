"""An exporter with a script, and the queue that sends to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import SpanKind

from autotrace.export.span_queue import SpanQueue
from autotrace.tracing.span import Span

Make = Callable[..., SpanQueue]


def span(number: int) -> Span:
    made = Span(1, number, 0, 1, None, SpanKind.INTERNAL, None, {}, None)
    made.end_time = made.start_time
    return made


class Scripted:
    """An exporter that raises or calls each item of `script`, then takes everything. `taken`: batches of span ids."""

    def __init__(self, *script: BaseException | Callable[[], None]) -> None:
        self.script = list(script)
        self.taken: list[list[int]] = []
        self.attempts = 0
        self.closed = 0
        self.deadlines: list[float] = []

    def export(self, spans: list[Span], resource: Any, deadline: float) -> None:
        self.attempts += 1
        self.deadlines.append(deadline)
        assert resource.service_name
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, BaseException):
                raise step
            step()
        self.taken.append([one.span_id for one in spans])

    def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[int]:
        return [one for batch in self.taken for one in batch]


def until(predicate: Callable[[], bool], seconds: float = 20) -> None:
    last = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < last, "it never became true"
        time.sleep(0.005)
