"""A record's span in the OpenTelemetry context, entered and left in any order: what was left never comes back as current.

Beside the span, the context of a record holds its InWork. A context derived from it (the program's own spans) inherits that.
"""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, Any

from autotrace.tracing.current import SPAN_KEY, enter, get, put

if TYPE_CHECKING:
    from opentelemetry.context.context import Context

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

RECORD_KEY = "autotrace-record"
_fill = dict.__setitem__


class InWork:
    """One record's span as the current one of this thread. `before` is put back, `base` is what lies beneath all records."""

    __slots__ = ("base", "before", "open", "span", "thread")

    def __init__(self, span: Span, before: Context, base: Context, remote: Remote | None) -> None:
        self.span = span
        self.before = before
        self.base = base
        self.open = True
        self.thread = get_ident()
        put(base)
        enter(span, remote)
        _fill(get(), RECORD_KEY, self)  # a context of ours that nobody else holds yet

    def leave(self) -> None:
        """Not current any more. Where something else is current meanwhile, or elsewhere, that is left alone."""
        self.open = False
        self.before = settled(self.before)
        current = get()
        beneath = settled(current)
        if beneath is not current:
            put(beneath)


def settled(context: Context) -> Context:
    """`context`, or what lies beneath it where it belongs to a record that this thread has left."""
    while True:
        work: Any = context.get(RECORD_KEY)
        if work is None or work.open or work.thread != get_ident():  # another thread's was carried here on purpose
            return context
        span = context.get(SPAN_KEY)
        if span is not work.span and getattr(span, "end_time", 0) is None:
            return context  # a span of the program's, still running
        context = work.before


def places() -> tuple[Context, Context]:
    """(what to restore when a record that is delivered here and now is left, what lies beneath all records of this thread)."""
    before = settled(get())
    beneath: Any = before.get(RECORD_KEY)
    return before, before if beneath is None or beneath.thread != get_ident() else beneath.base


def resumed(span: Span, remote: Remote | None) -> InWork:
    """The span of a record, current in this thread until leave(), whether it has ended or not."""
    before, base = places()
    return InWork(span, before, base, remote)
