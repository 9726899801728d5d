"""A record's span in the OpenTelemetry context. Deactivated in any order, it never becomes active again by accident.

A context belongs to a thread or to an asyncio task. Work that is handed to another of these keeps the record for good.
Beside the span, a record's context holds its ActiveRecord. Derived contexts, of the program's own spans, inherit both.
"""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, Any

from autotrace.messaging.place import context_of, here
from autotrace.tracing import pool_jobs
from autotrace.tracing.current import SPAN_KEY, enter, get, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

RECORD_KEY = "autotrace-record"
_fill = dict.__setitem__


class ActiveRecord:
    """One record's span as the active one of a place.

    deactivate() puts `before` back. `base` is the context beneath all records of the place.
    """

    __slots__ = ("base", "before", "open", "place", "span")

    def __init__(self, span: Span, before: Context, base: Context, place: object, remote: Remote | None) -> None:
        self.span = span
        self.before = before
        self.base = base
        self.open = True
        self.place = place
        put(base)
        enter(span, remote)
        _fill(get(), RECORD_KEY, self)  # enter() has just made this context, so nobody else holds it yet

    def deactivate(self) -> None:
        """The span is not active any more. If something else has become current meanwhile, that stays current."""
        self.open = False
        at = here()
        elsewhere = None if self.place == at else context_of(self.place)
        if elsewhere is None:
            self._restore(at)
            return
        try:  # asyncio closes an async generator in a task of its own
            elsewhere.run(self._restore, self.place)
        except RuntimeError:
            pass  # that task runs at this moment, in another thread

    def _restore(self, at: object) -> None:
        self.before = without_ended(self.before, at)
        current = get()
        beneath = without_ended(current, at)
        if beneath is not current:
            put(beneath)


def drop_ended() -> None:
    """Deactivate here what another thread has ended: a thread cannot reach the current context of another thread."""
    current = get()
    if RECORD_KEY in current:
        beneath = without_ended(current, here())
        if beneath is not current:
            put(beneath)


def run_job(work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """work(*args, **kwargs), a job of a pool's thread. If it leaves a record active there, the next job does not see
    it.
    """
    outer = get()
    try:
        try:
            return work(*args, **kwargs)
        finally:
            _leave_record(outer)
    except BaseException:  # it may have struck within `finally`
        _leave_record(outer)
        raise


def _leave_record(outer: Context) -> None:
    if get().get(RECORD_KEY) is not outer.get(RECORD_KEY):
        put(outer)


pool_jobs.runner = run_job


def without_ended(context: Context, at: object) -> Context:
    """`context`; if it belongs to a record that was deactivated at this place, the context beneath. `at`: here()."""
    while True:
        record: Any = context.get(RECORD_KEY)
        if record is None or record.open or not _belongs(record, at):  # the program carried another's here on purpose
            return context
        span = context.get(SPAN_KEY)
        if span is not record.span and getattr(span, "end_time", 0) is None:
            return context  # a span of the program's, still running
        context = record.before


def enclosing() -> tuple[Context, Context, object]:
    """(the context to restore after a record that is activated now, the context beneath all records here, here())."""
    at = here()
    before = without_ended(get(), at)
    beneath: Any = before.get(RECORD_KEY)
    return before, beneath.base if beneath is not None and _belongs(beneath, at) else before, at


def _belongs(record: ActiveRecord, at: object) -> bool:
    """Was the record activated here? The thread that runs a task's loop counts too: the task inherits its context."""
    place = record.place
    return place == at or place == get_ident()


def reactivate(span: Span, remote: Remote | None) -> ActiveRecord:
    """Activate the span of a record here until deactivate(), even if the span has ended."""
    before, base, place = enclosing()
    return ActiveRecord(span, before, base, place, remote)
