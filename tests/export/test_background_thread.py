"""The export thread: its start, its end before a fork, and the signals that it does not take."""

from __future__ import annotations

import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from autotrace import containment
from autotrace.export import background_thread, span_processors
from autotrace.tracing import tracer
from tests.export.scripted import Make, Scripted, span, until


def test_a_thread_that_dies_is_replaced(make: Make) -> None:
    exporter = Scripted(KeyboardInterrupt())
    queue = make(exporter, flush_seconds=0.02)
    queue.sink(span(1))
    until(lambda: exporter.ids == [1])
    assert list(containment.failures) == ["the export thread"]


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


def test_no_signal_of_the_program_is_given_to_the_thread(make: Make) -> None:
    seen: list[set[int]] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    queue = make(Scripted(lambda: seen.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))))
    queue.sink(span(1))
    assert queue.flush(20)
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1} <= seen[0]
    assert signal.SIGSEGV not in seen[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
