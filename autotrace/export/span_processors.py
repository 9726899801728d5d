"""The SpanProcessors that the program added to the provider. One that fails costs no spans, and no other processor.

Imported only if there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing import tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autotrace.export.resource import Resource
    from autotrace.tracing.span import Span


def load() -> Callable[[Span, Resource], Any]:
    """The function that makes a ReadableSpan. Its import brings OpenTelemetry's SDK, so it waits for the first span."""
    from autotrace.export.otel.readable_span import to_readable

    return to_readable


def on_end(spans: Sequence[Span], resource: Resource, to_readable: Callable[[Span, Resource], Any]) -> None:
    processors = list(tracer.provider.processors)
    for span in spans:
        for processor in processors:
            try:
                processor.on_end(to_readable(span, resource))
            except Exception:
                _failed(processor)


def force_flush(seconds: float) -> bool:
    flushed = True
    for processor in list(tracer.provider.processors):
        try:
            flushed = processor.force_flush(int(seconds * 1000)) is not False and flushed
        except Exception:
            _failed(processor)
    return flushed


def shutdown() -> None:
    for processor in list(tracer.provider.processors):
        try:
            processor.shutdown()
        except Exception:
            _failed(processor)


def _failed(processor: Any) -> None:
    contained(f"the span processor {type(processor).__name__}")
