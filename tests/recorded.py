"""Ended spans in a list, for tests in this process: by kind, with the tags that an exporter would write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.semantics import span_reader
from autotrace.tracing.span import Span


class Recorded(list[Span]):
    def of(self, kind: SpanKind) -> list[Span]:
        return [span for span in self if span.kind is kind]

    @property
    def clients(self) -> list[Span]:
        return self.of(SpanKind.CLIENT)

    @property
    def servers(self) -> list[Span]:
        return self.of(SpanKind.SERVER)

    @property
    def producers(self) -> list[Span]:
        return self.of(SpanKind.PRODUCER)

    @property
    def consumers(self) -> list[Span]:
        return self.of(SpanKind.CONSUMER)

    def one(self) -> Span:
        """The only one."""
        assert len(self) == 1, [span.name for span in self]
        return self[0]


def tags(span: Span) -> dict[str, Any]:
    return dict(span_reader.tags(span))


def is_child(span: Span, parent: Span) -> bool:
    return (span.trace_id, span.parent_id) == (parent.trace_id, parent.span_id)


def nothing_current() -> bool:
    return trace.get_current_span() is trace.INVALID_SPAN


@contextlib.contextmanager
def record() -> Iterator[Recorded]:
    recorded = Recorded()
    before = Span.__dict__["sink"]
    Span.sink = staticmethod(recorded.append)
    assert nothing_current(), "an earlier test left a span current"
    try:
        yield recorded
    finally:
        Span.sink = before
    assert nothing_current(), "the test left a span current"
