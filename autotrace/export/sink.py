"""Where a span goes when it ends: into the queue, or nowhere if that is full. It runs on the program's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.export.span_weight import MeanWeight
from autotrace.settings import EXPORTERS
from autotrace.tracing import tracer

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from autotrace.export.loss_report import LossReport
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

EVERY = 128
"""A power of two. One span in that many is weighed, and each one once the bytes are few."""


def make_sink(
    spans: deque[Span], settings: Settings, report: LossReport, start_or_wake: Callable[[], None]
) -> Callable[[Span], None]:
    """`start_or_wake` is called for the first span of an empty queue, and for each one once it is half full."""
    append, count, mean = spans.append, len, MeanWeight(settings.queue_bytes)
    size = allowed = settings.queue_size
    half, between = max(1, size // 2), EVERY - 1

    def sink(span: Span) -> None:
        """0.1 us. Never waits and takes no lock, because the garbage collector may call it at any moment."""
        nonlocal allowed, half
        waiting = count(spans)
        if waiting & between and waiting < half:
            append(span)
        elif waiting < allowed:
            if allowed < size or not waiting & between:
                allowed = min(size, mean.spans_allowed(span, waiting))
                half = max(1, allowed // 2)
            append(span)
            if not waiting or waiting >= half:
                start_or_wake()
        else:
            report.lost += 1
            if allowed < size:
                report.too_heavy += 1

    if EXPORTERS[settings.exporter]:
        return sink
    processors = tracer.provider.processors
    return lambda span: sink(span) if processors else None
