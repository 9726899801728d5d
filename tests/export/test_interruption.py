"""An exception of the program's that strikes in the exporter's code on the program's thread: nothing stays changed,
export goes on.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from autotrace import containment
from autotrace.export import background_thread
from autotrace.export.span_queue import SpanQueue
from autotrace.tracing import current
from tests.export.scripted import Make, Scripted, span
from tests.interruption.striking import Timeout, strikes

LEAST = sys.version_info < (3, 12)
"""Python 3.12 and later tell of the bytecodes of a function from its second call on, so that fewer are struck, or none.
"""

pytestmark = pytest.mark.parametrize("kind", [Timeout, KeyboardInterrupt])


def mask() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def strike_everywhere(
    make: Make, operation: Callable[[SpanQueue], object], kind: type[BaseException], **settings: object
) -> int:
    """Each strike meets a queue of its own, which must send afterwards. Returns how many there were."""
    outer, before, exporter = current.get(), mask(), Scripted()
    queues, wrong, count = [make(exporter, **settings)], [], 0
    for strike, raised in strikes(lambda: operation(queues[-1]), kind):
        queue = queues[-1]
        count += 1
        if raised is not strike.error:
            wrong.append(f"{strike.where}: lost, {raised!r}")
        if current.get() is not outer:
            wrong.append(f"{strike.where}: the context is another")
            current.put(outer)
        if mask() != before:
            wrong.append(f"{strike.where}: signals stay blocked")
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        queue.flush(5)
        queue.sink(span(1000 + count))
        if not queue.flush(5) or exporter.ids.count(1000 + count) != 1:
            wrong.append(f"{strike.where}: export has ended")
        queue.pause()
        queues.append(make(exporter, **settings))
    assert wrong == []
    assert containment.failures == {}
    return count


def test_the_first_span_which_starts_the_thread(make: Make, kind: type[BaseException]) -> None:
    assert strike_everywhere(make, lambda queue: queue.sink(span(1)), kind) >= LEAST * 50


def test_spans_that_fill_the_queue(make: Make, kind: type[BaseException]) -> None:
    def operation(queue: SpanQueue) -> None:
        for number in range(3):
            queue.sink(span(number))

    assert strike_everywhere(make, operation, kind, queue_size=2) >= LEAST * 60


def test_a_flush_with_a_thread(make: Make, kind: type[BaseException]) -> None:
    def operation(queue: SpanQueue) -> None:
        queue.sink(span(1))
        queue.flush(5)

    assert strike_everywhere(make, operation, kind) >= LEAST * 80


def test_a_flush_where_no_thread_can_be_started(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background_thread._thread, "start_new_thread", refuse)

    def operation(queue: SpanQueue) -> None:
        queue.spans.append(span(1))
        queue.flush(5)

    outer, exporter = current.get(), Scripted()
    queues = [make(exporter)]
    for strike, _ in strikes(lambda: operation(queues[-1]), kind, every=3):
        assert current.get() is outer, strike.where
        queues.append(make(exporter))


def test_a_pause_before_a_fork(make: Make, kind: type[BaseException]) -> None:
    def operation(queue: SpanQueue) -> None:
        queue.sink(span(1))
        queue.pause()
        queue.resume()

    assert strike_everywhere(make, operation, kind) >= LEAST * 100
