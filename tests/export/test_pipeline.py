"""The queue and its thread in this process, with exporters that fail in every way: what is counted, kept and reported."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from autotrace import containment
from autotrace.export import background_thread, span_processors
from autotrace.export.loss_report import LossReport
from autotrace.export.sender import BATCH_SIZE, Sender
from autotrace.export.span_queue import SpanQueue
from autotrace.settings import EXPORTERS, TABLE, Settings
from autotrace.tracing import tracer
from autotrace.tracing.span import Span


def span(number: int) -> Span:
    made = Span(1, number, 0, 1, None, SpanKind.INTERNAL, None, {}, None)
    made.end_time = made.start_time
    return made


class Scripted:
    """An exporter that does what `script` says in turn, then takes everything. `taken`: the batches, as span ids."""

    def __init__(self, *script: BaseException | Callable[[], None]) -> None:
        self.script = list(script)
        self.taken: list[list[int]] = []
        self.attempts = 0
        self.closed = 0
        self.deadlines: list[float] = []

    def export(self, spans: list[Span], resource: Any, deadline: float) -> None:
        self.attempts += 1
        self.deadlines.append(deadline)
        assert resource.service_name
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, BaseException):
                raise step
            step()
        self.taken.append([one.span_id for one in spans])

    def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[int]:
        return [one for batch in self.taken for one in batch]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(containment, "say", lines.append)
    monkeypatch.setattr(containment, "failures", {})
    return lines


Make = Callable[..., SpanQueue]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Iterator[Make]:
    made: list[SpanQueue] = []

    def make(exporter: Any, /, **settings: object) -> SpanQueue:
        home = SimpleNamespace(make=exporter if callable(exporter) else lambda settings: exporter)
        monkeypatch.setitem(sys.modules, "autotrace.export.jaeger.exporter", home)
        given = {"flush_seconds": 60, "exit_seconds": 10, **settings}
        made.append(SpanQueue(Settings({f"AUTOTRACE_{name.upper()}": str(value) for name, value in given.items()})))
        return made[-1]

    yield make
    for one in made:
        one.pause()


def until(predicate: Callable[[], bool], seconds: float = 20) -> None:
    last = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < last, "it never came true"
        time.sleep(0.005)


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


def test_the_queue_is_sent_at_intervals_unasked(make: Make) -> None:
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


def test_a_full_queue_drops_what_comes_and_counts_it_exactly(make: Make, said: list[str]) -> None:
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


def test_what_is_lost_later_is_told_in_one_sum_at_the_end(make: Make, said: list[str]) -> None:
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


def test_what_nobody_took_is_kept_and_sent_once_somebody_does(make: Make, said: list[str]) -> None:
    exporter = Scripted(ConnectionRefusedError("http://x: refused"), TimeoutError("http://x: late"))
    queue = make(exporter)
    queue.sink(span(1))
    assert not queue.flush(20)
    queue.sink(span(2))
    assert not queue.flush(20)
    assert queue.flush(20)
    assert exporter.ids == [1, 2]
    assert said == [
        "spans cannot be sent: http://x: refused; 1 wait, kept until the queue is full",
        "spans are sent again; 0 were lost",
    ]


def test_recovery_tells_how_many_were_lost(make: Make, said: list[str]) -> None:
    exporter = Scripted(ConnectionRefusedError("refused"))
    queue = make(exporter, queue_size=10)
    queue.sink(span(0))
    assert not queue.flush(20)
    for number in range(1, 15):
        queue.sink(span(number))
    assert queue.flush(20)
    assert exporter.ids == list(range(11))
    assert said[1:] == ["spans are sent again; 4 were lost"]


def test_an_unanswered_collector_is_asked_ever_more_rarely_however_busy_the_program(make: Make) -> None:
    exporter = Scripted(*[ConnectionRefusedError("refused")] * 1000)
    queue = make(exporter, queue_size=20, flush_seconds=0.02)
    started = time.monotonic()
    while time.monotonic() < started + 1:
        queue.sink(span(1))
        time.sleep(0.0005)
    # Pauses of 0.04, 0.08, 0.16, 0.32, … s; without them there would be fifty attempts.
    assert 2 <= exporter.attempts <= 10


def test_what_the_exporter_leaves_of_a_batch_is_all_that_is_sent_again(make: Make) -> None:
    exporter = Scripted()

    def partly(spans: list[Span], resource: Any, deadline: float) -> None:
        exporter.export(spans[:2], resource, deadline)
        del spans[:2]
        if spans:
            raise TimeoutError("late")

    queue = make(SimpleNamespace(export=partly, close=exporter.close))
    for number in range(5):
        queue.sink(span(number))
    assert [queue.flush(20) for _ in range(3)] == [False, False, True]
    assert exporter.ids == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "failure",
    [ValueError("bad\nlines"), KeyError(), RecursionError("deep"), MemoryError(), SystemExit(1), GeneratorExit()],
)
def test_a_refused_batch_is_lost_and_the_next_ones_go(make: Make, said: list[str], failure: BaseException) -> None:
    exporter = Scripted(failure)
    queue = make(exporter, queue_size=4096)
    for number in range(BATCH_SIZE + 1):
        queue.sink(span(number))
    assert not queue.flush(20)
    assert exporter.ids == [BATCH_SIZE]
    assert queue.report.lost == BATCH_SIZE
    assert len(said) == 2 and "\n" not in said[0] and said[1] == f"spans are sent again; {BATCH_SIZE} were lost"
    queue.sink(span(7))
    assert queue.flush(20)
    assert exporter.ids == [BATCH_SIZE, 7]


def test_the_thread_that_dies_all_the_same_is_replaced(make: Make) -> None:
    exporter = Scripted(KeyboardInterrupt())
    queue = make(exporter, flush_seconds=0.02)
    queue.sink(span(1))
    until(lambda: exporter.ids == [1])
    assert list(containment.failures) == ["the export thread"]


def test_an_exporter_that_cannot_be_made_is_told_once(make: Make, said: list[str]) -> None:
    def unmade(settings: object) -> object:
        raise ImportError("no module named x")

    queue = make(unmade)
    for number in range(3):
        queue.sink(span(number))
        assert not queue.flush(20)
    assert said == ["the exporter 'jaeger' cannot be used: no module named x; spans are dropped"]
    assert queue.report.lost == 3


def test_a_flush_waits_no_longer_than_it_was_told_to(make: Make) -> None:
    gate = threading.Event()
    exporter = Scripted(lambda: gate.wait(20) and None)
    queue = make(exporter)
    queue.sink(span(1))
    assert not queue.flush(0.1)
    assert not gate.is_set()
    gate.set()
    assert queue.flush(20)
    assert exporter.ids == [1]


def test_leaving_closes_the_exporter_and_has_one_deadline_for_all_calls(make: Make) -> None:
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


def test_where_no_thread_can_be_started_leaving_sends_by_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_an_interrupt_while_the_thread_starts_leaves_one_thread_at_most(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = Scripted()
    queue = make(exporter, flush_seconds=0.3)
    mask, calls = background_thread.signal.pthread_sigmask, []

    def interrupted(how: int, signals: Any) -> Any:
        calls.append(how)
        before = mask(how, signals)
        if len(calls) == 3:  # the program's signals are unblocked again: the thread has started
            time.sleep(0.05)
            raise KeyboardInterrupt
        return before

    monkeypatch.setattr(background_thread.signal, "pthread_sigmask", interrupted)
    threads = background_thread._thread._count()
    with pytest.raises(KeyboardInterrupt):
        queue.sink(span(1))
    assert queue.thread is None
    assert queue.flush(20)
    until(lambda: background_thread._thread._count() == threads + 1)
    assert queue.thread is not None
    queue.sink(span(2))
    assert queue.flush(20)
    assert background_thread._thread._count() == threads + 1
    assert exporter.ids == [1, 2]


def test_no_signal_of_the_program_is_given_to_the_thread(make: Make) -> None:
    import signal

    seen: list[set[int]] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    queue = make(Scripted(lambda: seen.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))))
    queue.sink(span(1))
    assert queue.flush(20)
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1} <= seen[0]
    assert signal.SIGSEGV not in seen[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_processors_of_the_program_get_every_span_once_even_while_nobody_takes_them(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[object] = []
    monkeypatch.setitem(
        sys.modules,
        "autotrace.export.otel.readable_span",
        SimpleNamespace(to_readable=lambda span, resource: span.span_id),
    )

    def broken(readable: object) -> None:
        raise ValueError("theirs")

    theirs = [SimpleNamespace(on_end=broken), SimpleNamespace(on_end=got.append)]
    monkeypatch.setattr(tracer.provider, "processors", theirs)
    queue = make(Scripted(TimeoutError("late"), TimeoutError("late")))
    for number in (1, 2, 3):
        queue.sink(span(number))
    while not queue.flush(20):
        pass
    assert got == [1, 2, 3]
    assert containment.failures["the span processor SimpleNamespace"][0] == 3


@pytest.mark.parametrize("what", ["the exporter", "the sdk"])
def test_a_fork_waits_while_the_thread_imports(make: Make, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The child would find the import locks held for ever."""
    begun, gate = threading.Event(), threading.Event()

    def importing(*_: object) -> Any:
        begun.set()
        gate.wait(20)
        return Scripted()

    if what == "the sdk":
        monkeypatch.setattr(span_processors, "load", importing)
        monkeypatch.setattr(tracer.provider, "processors", [SimpleNamespace(on_end=lambda readable: None)])
        queue = make(Scripted(), flush_seconds=0.02)
    else:
        queue = make(importing, flush_seconds=0.02)
    queue.sink(span(1))
    assert begun.wait(20)
    threading.Timer(0.3, gate.set).start()
    queue.pause()
    assert gate.is_set() and queue.thread is None


def test_every_processor_is_shut_down_although_one_fails(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    def broken() -> None:
        raise ValueError("theirs")

    closed: list[int] = []
    processors = [SimpleNamespace(shutdown=broken), SimpleNamespace(shutdown=lambda: closed.append(1))]
    monkeypatch.setattr(tracer.provider, "processors", processors)
    span_processors.shutdown()
    assert closed == [1]
    assert list(containment.failures) == ["the span processor SimpleNamespace"]


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


def test_every_exporter_of_the_settings_has_its_module() -> None:
    row = next(row for row in TABLE if row.attribute == "exporter")
    for name, module in EXPORTERS.items():
        assert row.kind(name) == name
        assert name == "none" or callable(importlib.import_module(module).make)
    with pytest.raises(ValueError) as allowed:
        row.kind("?")
    assert set(str(allowed.value).removeprefix("write one of ").split(", ")) == set(EXPORTERS)


def test_the_sink_may_be_called_in_the_midst_of_itself(make: Make) -> None:
    """The garbage collector closes a record's scope wherever it happens to run."""
    exporter = Scripted()
    queue = make(exporter, queue_size=64)

    class Scope:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            queue.sink(span(2))

    import gc

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(300):
            Scope()
            queue.sink(span(1))
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert queue.flush(20)
    assert len(exporter.ids) + queue.report.lost == 600


def test_a_sender_without_anything_to_send_makes_no_exporter() -> None:
    sender = Sender(Settings({}), LossReport(10))
    assert sender.drain(deque()) is True
    assert sender._exporter is None
