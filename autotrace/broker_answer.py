"""The broker's answer to a record that was sent: it ends the producer's span, once. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing import carry
from autotrace.tracing.recent import Recent

if TYPE_CHECKING:
    from opentelemetry.context.context import Context

    from autotrace.tracing.span import Span

PLACE = "the broker's answer"

_answered = Recent(256)
"""id of what the broker said of a record -> (that, the context of the send)."""


class Answer:
    """Made while the producer's span is current. Where no answer can come any more it is collected, and that ends the span.

    `acknowledged` False: the client asks for no answer (acks=0), and what it calls an offset is none.
    """

    __slots__ = ("acknowledged", "context", "span")

    def __init__(self, span: Span, acknowledged: bool) -> None:
        self.span = span
        self.acknowledged = acknowledged
        self.context = carry.capture()

    def sent(self, metadata: Any) -> None:
        """`metadata`: has `partition` and `offset`, which is -1 where the broker does not tell."""
        try:
            span = self.span
            if span.end_time is None:
                span.facts["partition"] = metadata.partition
                if self.acknowledged and metadata.offset >= 0:
                    span.facts["offset"] = metadata.offset
                span.end()
                _answered.put(id(metadata), (metadata, self.context))
        except Exception:
            contained(PLACE)

    def refused(self, error: Any) -> None:
        try:
            self.span.fail(error)
            self.span.end()
        except Exception:
            contained(PLACE)

    def __del__(self) -> None:
        try:
            self.span.end()
        except Exception:
            contained(PLACE)


def context_of(metadata: Any) -> Context | None:
    """The context of the send that was answered with this very object; None once 256 newer answers have come."""
    found = _answered.get(id(metadata))
    return found[1] if found is not None and found[0] is metadata else None
