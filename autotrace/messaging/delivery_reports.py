"""The delivery report of a produced message: it ends the producer span, once, and runs the program's callback in it.

If no report comes any more, the span ends and says so: the program never polls, the producer is closed or dropped, or
the process ends. Knows no library. Limit: if a producer is dropped, librdkafka forgets the messages that it has not
reported, and their outcome stays unknown.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from autotrace.containment import contained
from autotrace.tracing import forks
from autotrace.tracing.current import enter, get, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context

    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.span import Span

PLACE = "the delivery report"


class PendingDeliveries:
    """Kept by a producer: its facts, its configured callback, and the spans whose report has not come."""

    __slots__ = ("__weakref__", "callback", "limit", "shared", "waiting")

    def __init__(self, shared: SharedFacts, callback: Any, limit: int) -> None:
        self.shared = shared
        self.limit = limit
        """Bytes of the largest message that the producer accepts."""
        self.callback = callback
        """The program's callback for messages without one of their own."""
        self.waiting: set[Span] = set()
        _producers.add(self)

    def give_up(self) -> None:
        """No report will come any more."""
        try:
            waiting = self.waiting
            while waiting:
                span = waiting.pop()
                span.facts["delivery"] = "unknown"
                span.end()
        except (KeyError, AttributeError):  # a report came meanwhile, in another thread; or it is half made
            pass
        except Exception:
            contained(PLACE)

    def __del__(self) -> None:
        self.give_up()


_producers: WeakSet[PendingDeliveries] = WeakSet()


@atexit.register
def _exiting() -> None:
    for pending in list(_producers):
        pending.give_up()


def _forked() -> None:
    for pending in list(_producers):  # a parent ends the spans of the messages that it has sent
        pending.waiting.clear()


forks.in_child(_forked)


class DeliveryReport:
    """The callback of one message, called with (error or None, message). Its finalizer ends the span too.

    `failure`: makes an exception of an error, as the library would raise it.
    """

    __slots__ = ("callback", "context", "failure", "span", "waiting")

    def __init__(
        self, span: Span, pending: PendingDeliveries, callback: Any, failure: Callable[[Any], BaseException]
    ) -> None:
        self.span = span
        self.callback = callback
        self.failure = failure
        self.context = get()
        self.waiting = pending.waiting
        self.waiting.add(span)

    def __call__(self, error: Any, message: Any) -> Any:
        try:
            self.on_report(error, message)
        except Exception:
            contained(PLACE)
        return None if self.callback is None else run_in_span(self.context, self.span, self.callback, error, message)

    def on_report(self, error: Any, message: Any) -> None:
        span = self.span
        self.waiting.discard(span)
        if span.end_time is None:
            if error is not None:
                span.fail(self.failure(error))
            if message is not None:
                span.facts["partition"] = message.partition()
                offset = message.offset()
                if error is None and offset is not None and offset >= 0:
                    span.facts["offset"] = offset
            span.end()

    def __del__(self) -> None:
        end_reported(self)


def run_in_span(context: Context, span: Span, callback: Any, error: Any, message: Any) -> Any:
    """The program's callback, called as the library would call it, with the producer span active."""
    outer = get()
    try:
        try:
            put(context)
            enter(span)
            return callback(error, message)
        finally:
            put(outer)
    except BaseException:  # it may have struck within `finally`
        put(outer)
        raise


def end_reported(report: Any) -> None:
    """The finalizer of an object with a `span` that is `waiting` for its report."""
    try:
        report.waiting.discard(report.span)
        report.span.end()
    except AttributeError:
        pass  # half made: an exception of the program's has struck in __init__()
    except Exception:
        contained(PLACE)
