"""A batch that the program fills itself, until it is sent: the span that its records carry. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.messaging.producing import parent_in, start_span
from autotrace.tracing.current import SPAN_KEY, get

if TYPE_CHECKING:
    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.span import Span


class Draft:
    """Kept by the batch. Its span starts with its first record."""

    __slots__ = ("_span", "shared", "takes_headers")

    def __init__(self, shared: SharedFacts, takes_headers: bool) -> None:
        self.shared = shared
        self.takes_headers = takes_headers
        self._span: Span | None = None

    def span_for(self, headers: Any) -> Span | None:
        """The span that a record with these headers shall carry. None: it keeps the trace that the program gave it."""
        if self._span is None:
            self._span = start_span({}, self.shared, headers)
        elif headers is not None and SPAN_KEY not in get():
            remote = parent_in(headers)
            if remote is not None and remote.trace_id not in (0, self._span.trace_id):
                return None
        return self._span

    def taken(self) -> Span | None:
        """The span of one attempt to send the batch; the next attempt has a span of its own."""
        span, self._span = self._span or start_span({}, self.shared), None
        return span
