"""Messages that one call sends, as dictionaries: each gets a delivery report of ours, in a copy. Knows no library.

Limit: such batches carry no headers, so their messages share one span. A message may bring its own span, under SLOT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.client_slot import SLOT
from autotrace.messaging.delivery_reports import PLACE, DeliveryReport, end_reported, run_in_span
from autotrace.messaging.producing import start_span
from autotrace.tracing.current import get
from autotrace.tracing.traced_call import argument, end_failed, with_argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.messaging.delivery_reports import PendingDeliveries
    from autotrace.tracing.span import Span

    Failure = Callable[[Any], BaseException]
    """Makes an exception of an error, as the library would raise it."""

REFUSAL = "_error"
"""The key of a message under which the library notes why it refused the message."""


class BatchSpan:
    """The span that the messages of one call share. It ends when the last report has been called and dropped."""

    __slots__ = ("context", "failure", "span", "waiting")

    def __init__(self, span: Span, pending: PendingDeliveries, failure: Failure) -> None:
        self.span = span
        self.failure = failure
        self.context = get()
        self.waiting = pending.waiting
        self.waiting.add(span)

    def __del__(self) -> None:
        end_reported(self)


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


def wrap_produce_batch(
    pending_of: Callable[[Any], PendingDeliveries | None],
    default_of: Callable[[Any, Any, PendingDeliveries], Any],
    failure: Failure,
) -> Callable[[Any], Any]:
    """A method (self, topic, messages, …). `default_of`: (args, kwargs, pending) -> messages' default callback."""

    def make(original: Any) -> Any:
        def produce_batch(*args: Any, **kwargs: Any) -> Any:
            messages = argument(args, kwargs, 2, "messages")
            copies: list[Any] = []
            try:
                pending = pending_of(args[0]) if args else None
                if pending is not None and isinstance(messages, list) and messages:
                    topic, default = argument(args, kwargs, 1, "topic"), default_of(args, kwargs, pending)
                    copies = _traced_copies(topic, messages, default, pending, failure)
                    args, kwargs = with_argument(args, kwargs, 2, "messages", copies)
            except Exception:
                copies = []
                contained(PLACE)
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                _end_failed(copies, error)
                raise
            try:
                _note_refused(messages, copies)
            except Exception:
                contained(PLACE)
            return result

        return produce_batch

    return make


def _traced_copies(
    topic: Any,
    messages: list[Any],
    default: Any,
    pending: PendingDeliveries,
    failure: Failure,
) -> list[Any]:
    """Copies of the caller's messages, with our callbacks in place of theirs."""
    count = sum(SLOT not in message for message in messages if isinstance(message, dict))
    span = start_span({"topic": topic, "count": count}, pending.shared) if count else None
    batch = None if span is None else BatchSpan(span, pending, failure)
    copies: list[Any] = []
    for message in messages:
        copy = dict.copy(message) if isinstance(message, dict) else message
        if copy is not message:
            own = copy.pop(SLOT, None)
            callback = default if copy.get("callback") is None else copy["callback"]
            if own is not None:
                copy["callback"] = DeliveryReport(own, pending, callback, failure)
            elif batch is not None:
                copy["callback"] = BatchReport(batch, callback)
        copies.append(copy)
    return copies


def _note_refused(messages: Any, copies: list[Any]) -> None:
    """The library notes a refusal in the copy. The caller's own message gets the note too, and its span fails."""
    for message, copy in zip(messages if copies else (), copies, strict=False):
        if isinstance(copy, dict) and copy.get(REFUSAL) is not message.get(REFUSAL):
            message[REFUSAL] = copy[REFUSAL]
            report = _report_of(copy)
            if report is not None:
                report.on_report(copy[REFUSAL], None)


def _end_failed(copies: list[Any], error: BaseException) -> None:
    """The call raised, and sent none of the messages."""
    for report in map(_report_of, copies):
        if report is not None:
            end_failed(report.span, error, PLACE)


def _report_of(message: Any) -> DeliveryReport | BatchReport | None:
    callback = message.get("callback") if isinstance(message, dict) else None
    return callback if isinstance(callback, (DeliveryReport, BatchReport)) else None
