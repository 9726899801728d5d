"""A record's span in the OpenTelemetry context, entered and left in any order: what was left never comes back as current.

Beside the span, the context of a record holds its InWork. A context derived from it (the program's own spans) inherits that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.tracing.current import SPAN_KEY, enter, get, put

if TYPE_CHECKING:
    from opentelemetry.context.context import Context

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

RECORD_KEY = "autotrace-record"
_fill = dict.__setitem__


class InWork:
    """One record's span as the current one. `before` is put back, `base` is what lies beneath all records of this thread."""

    __slots__ = ("base", "before", "context", "open", "span")

    def __init__(self, span: Span, before: Context, base: Context, remote: Remote | None) -> None:
        self.span = span
        self.before = before
        self.base = base
        self.open = True
        put(base)
        enter(span, remote)
        self.context: Context | None = get()
        _fill(self.context, RECORD_KEY, self)  # a context of ours that nobody else holds yet

    def leave(self) -> None:
        """Not current any more. Where something else is current meanwhile, or elsewhere, that is left alone."""
        self.open = False
        self.before = settled(self.before)
        if get() is self.context:
            put(self.before)
        self.context = None


def settled(context: Context) -> Context:
    """`context`, or what lies beneath it where it belongs to a record that is no more in work."""
    while True:
        work: Any = context.get(RECORD_KEY)
        if work is None or work.open:
            return context
        span = context.get(SPAN_KEY)
        if span is not work.span and getattr(span, "end_time", 0) is None:
            return context  # a span of the program's, still running
        context = work.before


def places() -> tuple[Context, Context]:
    """(what to restore when a record that is delivered here and now is left, what lies beneath all records here)."""
    before = settled(get())
    beneath: Any = before.get(RECORD_KEY)
    return before, before if beneath is None else beneath.base


def resumed(span: Span, remote: Remote | None) -> InWork:
    """The span of a record, current in this thread until leave(), whether it has ended or not."""
    current = get()
    beneath: Any = current.get(RECORD_KEY)
    return InWork(span, current, current if beneath is None else beneath.base, remote)
