"""Messages that are sent by one call, as dictionaries: each gets a delivery report of ours, in a copy. Knows no library.

Limit: such batches carry no headers, so one span stands for all of it, but for messages that bring a span of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.messaging.delivery_reports import PLACE, Report, beneath, end_span
from autotrace.semantics import messaging, topics
from autotrace.tracing import tracer
from autotrace.tracing.current import get
from autotrace.tracing.traced_call import end_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.messaging.delivery_reports import Reports
    from autotrace.tracing.span import Span


class Batch:
    """The span that the messages of one call share. It ends when the last of their parts is dropped, which is after its report."""

    __slots__ = ("context", "failure", "span", "waiting")

    def __init__(self, span: Span, reports: Reports, failure: Callable[[Any], BaseException]) -> None:
        self.span = span
        self.failure = failure
        self.context = get()
        self.waiting = reports.waiting
        self.waiting.add(span)

    def __del__(self) -> None:
        end_span(self.span, self.waiting)


class Part:
    """The callback of one message of a batch."""

    __slots__ = ("batch", "callback")

    def __init__(self, batch: Batch, callback: Any) -> None:
        self.batch = batch
        self.callback = callback

    @property
    def span(self) -> Span:
        return self.batch.span

    def __call__(self, error: Any, message: Any) -> Any:
        try:
            self.told(error, message)
        except Exception:
            contained(PLACE)
        return None if self.callback is None else beneath(self.batch.context, self.span, self.callback, error, message)

    def told(self, error: Any, message: Any) -> None:
        if error is not None and self.span.failure is None:
            self.span.fail(self.batch.failure(error))


def copies(
    topic: Any, messages: list[Any], default: Any, reports: Reports, failure: Callable[[Any], BaseException], own: str
) -> list[Any]:
    """The caller's messages with our callbacks in place of theirs.

    `default`: the callback of messages without one. `own`: the key under which a message brings a span of its own.
    """
    shared = sum(own not in message for message in messages if isinstance(message, dict))
    batch = None
    if shared and not topics.excluded(topic):
        facts = {"topic": topic, "count": shared}
        span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, reports.shared)
        batch = None if span is None else Batch(span, reports, failure)
    made: list[Any] = []
    for message in messages:
        copy = dict.copy(message) if isinstance(message, dict) else message
        if copy is not message:
            brought = copy.pop(own, None)
            callback = default if copy.get("callback") is None else copy["callback"]
            if brought is not None:
                copy["callback"] = Report(brought, reports, callback, failure)
            elif batch is not None:
                copy["callback"] = Part(batch, callback)
        made.append(copy)
    return made


def refused(messages: Any, made: list[Any], note: str) -> None:
    """`note`: the key under which the library says why it did not take a message; that belongs into the caller's own too."""
    for message, copy in zip(messages if made else (), made, strict=False):
        if isinstance(copy, dict) and copy.get(note) is not message.get(note):
            message[note] = copy[note]
            callback = _ours(copy)
            if callback is not None:
                callback.told(copy[note], None)


def raised(made: list[Any], error: BaseException, place: str) -> None:
    """The call took none of them."""
    for callback in map(_ours, made):
        if callback is not None:
            end_failed(callback.span, error, place)


def _ours(message: Any) -> Report | Part | None:
    callback = message.get("callback") if isinstance(message, dict) else None
    return callback if isinstance(callback, (Report, Part)) else None
