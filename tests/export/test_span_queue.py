"""The queue of one process, from the first span to the exit."""

from __future__ import annotations

import gc
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from autotrace.export import background_thread
from autotrace.export.sender import BATCH_SIZE
from autotrace.tracing import tracer
from tests.export.scripted import Make, Scripted, span, until


def test_spans_arrive_in_order_in_batches_of_at_most_512(make: Make) -> None:
    exporter = Scripted()
    queue = make(exporter, queue_size=4096)
    for number in range(1300):
        queue.sink(span(number))
    assert queue.flush(20)
    assert exporter.ids == list(range(1300))
    assert max(map(len, exporter.taken)) <= BATCH_SIZE


def test_no_thread_and_no_exporter_before_the_first_span(make: Make) -> None:
    asked: list[object] = []
    queue = make(lambda settings: asked.append(settings) or Scripted())
    assert queue.flush(1) and queue.thread is None and not asked
    queue.sink(span(1))
    assert queue.thread is not None
    assert queue.flush(20) and len(asked) == 1


def test_the_queue_is_sent_at_intervals(make: Make) -> None:
    exporter = Scripted()
    queue = make(exporter, flush_seconds=0.02)
    for number in (1, 2, 3):
        queue.sink(span(number))
        until(lambda number=number: number in exporter.ids)  # type: ignore[misc]


def test_a_half_full_queue_is_sent_at_once(make: Make) -> None:
    exporter = Scripted()
    queue = make(exporter, queue_size=100, flush_seconds=600)
    for number in range(51):
        queue.sink(span(number))
    until(lambda: len(exporter.ids) == 51)


def test_a_full_queue_drops_new_spans_and_counts_them_exactly(make: Make, said: list[str]) -> None:
    gate = threading.Event()
    exporter = Scripted(lambda: gate.wait(20) and None)
    queue = make(exporter, queue_size=100)
    queue.sink(span(0))
    queue.thread.wake()
    until(lambda: exporter.attempts == 1)
    for number in range(1, 151):
        queue.sink(span(number))
    assert (len(queue.spans), queue.report.lost) == (100, 50)
    gate.set()
    assert queue.flush(20)
    assert exporter.ids == list(range(101))
    assert said == ["50 spans were lost because the queue was full (AUTOTRACE_QUEUE_SIZE=100)"]


def test_later_losses_are_reported_in_one_sum_at_the_exit(make: Make, said: list[str]) -> None:
    queue = make(Scripted(), queue_size=100)
    for lost in (50, 7, 3):
        queue.sink(span(0))
        queue.report.lost += lost
        assert queue.flush(20)
    queue.shutdown()
    assert said == [
        "50 spans were lost because the queue was full (AUTOTRACE_QUEUE_SIZE=100)",
        "60 spans were lost in all because the queue was full (AUTOTRACE_QUEUE_SIZE=100)",
    ]


def test_of_a_burst_from_many_threads_every_span_is_sent_or_counted(make: Make) -> None:
    exporter = Scripted()
    queue = make(exporter, queue_size=2000, flush_seconds=0.02)
    threads = [threading.Thread(target=lambda: [queue.sink(span(1)) for _ in range(10_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.flush(30)
    assert len(exporter.ids) + queue.report.lost == 40_000


def test_a_flush_waits_no_longer_than_its_seconds(make: Make) -> None:
    gate = threading.Event()
    exporter = Scripted(lambda: gate.wait(20) and None)
    queue = make(exporter)
    queue.sink(span(1))
    assert not queue.flush(0.1)
    assert not gate.is_set()
    gate.set()
    assert queue.flush(20)
    assert exporter.ids == [1]


def test_shutdown_closes_the_exporter_and_has_one_deadline_for_all_calls(make: Make) -> None:
    exporter = Scripted()
    queue = make(exporter, exit_seconds=7)
    queue.sink(span(1))
    began = time.monotonic()
    queue.shutdown()
    assert (exporter.ids, exporter.closed, queue.thread) == ([1], 1, None)
    queue.sink(span(2))
    queue.shutdown()
    assert exporter.ids == [1, 2]
    assert all(deadline <= began + 7 + 0.01 for deadline in exporter.deadlines)


def test_shutdown_sends_without_a_thread_if_none_can_be_started(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    exporter = Scripted()
    queue = make(exporter)
    monkeypatch.setattr(background_thread._thread, "start_new_thread", refuse)
    for number in (1, 2):
        queue.sink(span(number))
    assert queue.thread is None
    queue.shutdown()
    assert (exporter.ids, exporter.closed) == ([1, 2], 1)


def test_exporter_none_queues_nothing_unless_the_program_has_a_processor(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[object] = []
    monkeypatch.setitem(
        sys.modules,
        "autotrace.export.otel.readable_span",
        SimpleNamespace(to_readable=lambda span, resource: span.span_id),
    )
    monkeypatch.setattr(tracer.provider, "processors", [])
    queue = make(Scripted(), exporter="none")
    queue.sink(span(1))
    assert not queue.spans and queue.thread is None
    tracer.provider.processors.append(SimpleNamespace(on_end=got.append))
    queue.sink(span(2))
    assert queue.flush(20)
    assert got == [2]


def test_the_sink_may_be_called_in_the_midst_of_itself(make: Make) -> None:
    """The garbage collector ends a record's span wherever it happens to run."""
    exporter = Scripted()
    queue = make(exporter, queue_size=64)

    class Record:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            queue.sink(span(2))

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(300):
            Record()
            queue.sink(span(1))
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert queue.flush(20)
    assert len(exporter.ids) + queue.report.lost == 600
