"""A record's span in the OpenTelemetry context, entered and left in any order: what was left never comes back as current.

A context belongs to a thread, or to an asyncio task; work that is handed to another of them keeps the record for good.
Beside the span, the context of a record holds its InWork. A context derived from it (the program's own spans) inherits that.
"""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, Any

from autotrace.messaging.place import context_of, here
from autotrace.tracing.current import SPAN_KEY, enter, get, put

if TYPE_CHECKING:
    from opentelemetry.context.context import Context

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

RECORD_KEY = "autotrace-record"
_fill = dict.__setitem__


class InWork:
    """One record's span as the current one here. `before` is put back, `base` is what lies beneath all records."""

    __slots__ = ("base", "before", "open", "place", "span")

    def __init__(self, span: Span, before: Context, base: Context, place: object, remote: Remote | None) -> None:
        self.span = span
        self.before = before
        self.base = base
        self.open = True
        self.place = place
        put(base)
        enter(span, remote)
        _fill(get(), RECORD_KEY, self)  # a context of ours that nobody else holds yet

    def leave(self) -> None:
        """Not current any more. Where something else is current meanwhile, or elsewhere, that is left alone."""
        self.open = False
        at = here()
        theirs = None if self.place == at else context_of(self.place)
        if theirs is None:
            self._restore(at)
            return
        try:  # an async generator is closed by a task of its own
            theirs.run(self._restore, self.place)
        except RuntimeError:
            pass  # that task runs at this moment, in another thread

    def _restore(self, at: object) -> None:
        self.before = settled(self.before, at)
        current = get()
        beneath = settled(current, at)
        if beneath is not current:
            put(beneath)


def settle() -> None:
    """What another thread has left of a record that was delivered here is not current here any more."""
    current = get()
    if RECORD_KEY in current:
        beneath = settled(current, here())
        if beneath is not current:
            put(beneath)


def settled(context: Context, at: object) -> Context:
    """`context`, or what lies beneath it where it belongs to a record that was left here. `at`: here()."""
    while True:
        work: Any = context.get(RECORD_KEY)
        if work is None or work.open or not _here(work, at):  # another's was carried here on purpose
            return context
        span = context.get(SPAN_KEY)
        if span is not work.span and getattr(span, "end_time", 0) is None:
            return context  # a span of the program's, still running
        context = work.before


def places() -> tuple[Context, Context, object]:
    """(what to restore when a record that is delivered here and now is left, what lies beneath all records here, here)."""
    at = here()
    before = settled(get(), at)
    beneath: Any = before.get(RECORD_KEY)
    return before, beneath.base if beneath is not None and _here(beneath, at) else before, at


def _here(work: InWork, at: object) -> bool:
    """A task begins with the context of the thread that runs its loop: what that delivered itself is not carried."""
    place = work.place
    return place == at or place == get_ident()


def resumed(span: Span, remote: Remote | None) -> InWork:
    """The span of a record, current here until leave(), whether it has ended or not."""
    before, base, place = places()
    return InWork(span, before, base, place, remote)
