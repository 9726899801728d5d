"""Messages that one call sends, as dictionaries: each gets a delivery report of ours, in a copy. Knows no library.

Limit: such batches carry no headers, so their messages share one span. A message with a span of its own keeps that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.delivery_reports import PLACE, DeliveryReport, end_span, run_in_span
from autotrace.messaging.producing import start_span
from autotrace.tracing.current import get
from autotrace.tracing.traced_call import failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.messaging.delivery_reports import PendingDeliveries
    from autotrace.tracing.span import Span


class BatchSpan:
    """The span that the messages of one call share. It ends when the last report has been called and dropped."""

    __slots__ = ("context", "failure", "span", "waiting")

    def __init__(self, span: Span, pending: PendingDeliveries, failure: Callable[[Any], BaseException]) -> None:
        self.span = span
        self.failure = failure
        self.context = get()
        self.waiting = pending.waiting
        self.waiting.add(span)

    def __del__(self) -> None:
        end_span(self.span, self.waiting)


class BatchReport:
    """The delivery report of one message that has no span of its own."""

    __slots__ = ("batch", "callback")

    def __init__(self, batch: BatchSpan, callback: Any) -> None:
        self.batch = batch
        self.callback = callback

    @property
    def span(self) -> Span:
        return self.batch.span

    def __call__(self, error: Any, message: Any) -> Any:
        try:
            self.on_report(error, message)
        except Exception:
            contained(PLACE)
        if self.callback is None:
            return None
        return run_in_span(self.batch.context, self.span, self.callback, error, message)

    def on_report(self, error: Any, message: Any) -> None:
        if error is not None and self.span.failure is None:
            self.span.fail(self.batch.failure(error))


def traced_copies(
    topic: Any,
    messages: list[Any],
    default: Any,
    pending: PendingDeliveries,
    failure: Callable[[Any], BaseException],
    span_key: str,
) -> list[Any]:
    """Copies of the caller's messages, with our callbacks in place of theirs.

    `default`: the callback of messages without one. `span_key`: the key under which a message brings its own span.
    """
    count = sum(span_key not in message for message in messages if isinstance(message, dict))
    span = start_span({"topic": topic, "count": count}, pending.shared) if count else None
    batch = None if span is None else BatchSpan(span, pending, failure)
    copies: list[Any] = []
    for message in messages:
        copy = dict.copy(message) if isinstance(message, dict) else message
        if copy is not message:
            own = copy.pop(span_key, None)
            callback = default if copy.get("callback") is None else copy["callback"]
            if own is not None:
                copy["callback"] = DeliveryReport(own, pending, callback, failure)
            elif batch is not None:
                copy["callback"] = BatchReport(batch, callback)
        copies.append(copy)
    return copies


def note_refused(messages: Any, copies: list[Any], note: str) -> None:
    """`note`: the key under which the library says why it refused a message. The caller's message gets the note too."""
    for message, copy in zip(messages if copies else (), copies, strict=False):
        if isinstance(copy, dict) and copy.get(note) is not message.get(note):
            message[note] = copy[note]
            report = _report_of(copy)
            if report is not None:
                report.on_report(copy[note], None)


def end_failed(copies: list[Any], error: BaseException, place: str) -> None:
    """The call raised, and sent none of the messages."""
    for report in map(_report_of, copies):
        if report is not None:
            failed(report.span, error, place)


def _report_of(message: Any) -> DeliveryReport | BatchReport | None:
    callback = message.get("callback") if isinstance(message, dict) else None
    return callback if isinstance(callback, (DeliveryReport, BatchReport)) else None
