"""The broker's answer to a record that was sent: it ends the producer's span, once. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.recent import Recent
from autotrace.tracing import run_in_context

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

    __slots__ = ("_pending", "acknowledged", "context")

    def __init__(self, span: Span, acknowledged: bool) -> None:
        self._pending = [span]
        self.acknowledged = acknowledged
        self.context: Context | None = run_in_context.capture_context()

    def sent(self, metadata: Any) -> None:
        """`metadata`: has `partition` and `offset`, which is -1 where the broker does not tell."""
        try:
            context = self.context
            span = self._take()
            if span is not None:
                span.facts["partition"] = metadata.partition
                if self.acknowledged and metadata.offset >= 0:
                    span.facts["offset"] = metadata.offset
                span.end()
                _answered.put(id(metadata), (metadata, context))
        except Exception:
            contained(PLACE)

    def refused(self, error: Any) -> None:
        try:
            span = self._take()
            if span is not None:
                span.fail(error)
                span.end()
        except Exception:
            contained(PLACE)

    def _take(self) -> Span | None:
        """The span, for whoever comes first. Programs keep futures, and futures keep this: it lets go of everything."""
        try:
            span = self._pending.pop()
        except IndexError:
            return None
        self.context = None
        return span

    def __del__(self) -> None:
        try:
            span = self._take()
            if span is not None:
                span.end()
        except Exception:
            contained(PLACE)


def context_of(metadata: Any) -> Context | None:
    """The context of the send that was answered with this very object; None once 256 newer answers have come."""
    found = _answered.get(id(metadata))
    return found[1] if found is not None and found[0] is metadata else None
