"""The broker's acknowledgement of a record that was sent: it ends the producer span, once. Knows no library."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.recent import Recent
from autotrace.tracing import run_in_context
from autotrace.tracing.traced_call import LEAVE_OPEN

if TYPE_CHECKING:
    from opentelemetry.context.context import Context

    from autotrace.tracing.span import Span

PLACE = "the acknowledgement"

_recent = Recent(256)
"""id of an acknowledgement's metadata -> (the metadata, the context of the send)."""


class Acknowledgement:
    """Made while the producer span is active. If no acknowledgement can come any more, its finalizer ends the span.

    `expected` False: the client asks for none (acks=0). Its offset is then a placeholder and is left out.
    """

    __slots__ = ("_pending", "context", "expected")

    def __init__(self, span: Span, expected: bool) -> None:
        self._pending = [span]
        self.expected = expected
        self.context: Context | None = run_in_context.capture_context()

    def succeeded(self, metadata: Any) -> None:
        """`metadata`: has `partition` and `offset`; the offset is -1 if the broker does not tell it."""
        try:
            context = self.context
            span = self._take()
            if span is not None:
                span.facts["partition"] = metadata.partition
                if self.expected and metadata.offset >= 0:
                    span.facts["offset"] = metadata.offset
                span.end()
                _recent.put(id(metadata), (metadata, context))
        except Exception:
            contained(PLACE)

    def failed(self, error: Any) -> None:
        try:
            span = self._take()
            if span is not None:
                span.fail(error)
                span.end()
        except Exception:
            contained(PLACE)

    def _take(self) -> Span | None:
        """The span, for the first caller. Programs keep futures, and futures keep this object, so it lets go of all."""
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
        except AttributeError:
            pass  # half made: an exception of the program's has struck in __init__()
        except Exception:
            contained(PLACE)


def context_of_send(metadata: Any) -> Context | None:
    """The context of the send that this object acknowledges; None once 256 newer acknowledgements have come."""
    found = _recent.get(id(metadata))
    return found[1] if found is not None and found[0] is metadata else None


class FutureAcknowledgement:
    """The same, as the callback of an asyncio future. A future that is dropped before it is done ends the span too."""

    __slots__ = ("span",)

    def __init__(self, span: Span) -> None:
        self.span = span

    def __call__(self, future: Any) -> None:
        try:
            # Not exception(): asyncio would take the exception as retrieved by the program.
            error = getattr(future, "_exception", None)
            if error is not None:
                self.span.fail(error)
            elif not future.cancelled():
                metadata = future.result()
                if metadata is not None:  # acks=0: there is no acknowledgement
                    self.span.facts["partition"] = metadata.partition
                    if metadata.offset >= 0:
                        self.span.facts["offset"] = metadata.offset
            self.span.end()
        except Exception:
            contained(PLACE)

    def __del__(self) -> None:
        try:
            self.span.end()
        except AttributeError:
            pass  # half made: an exception of the program's has struck in __init__()
        except Exception:
            contained(PLACE)


def end_with_future(span: Span, future: Any) -> object:
    """The `after` of a coroutine that returns an acknowledgement's future: the span is open until it is done."""
    # An empty context: the default, a copy of the current one, would keep the active span alive.
    future.add_done_callback(FutureAcknowledgement(span), context=contextvars.Context())
    return LEAVE_OPEN
