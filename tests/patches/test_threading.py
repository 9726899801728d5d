"""threading: a thread works in the context that it was started in; threads that serve every caller do not."""

from __future__ import annotations

import importlib
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.patches import threading as patch
from autotrace.semantics import http
from autotrace.tracing import current, tracer
from autotrace.tracing.until_ended import UntilEnded
from tests.recorded import Recorded, nothing_current


@pytest.fixture
def outer(spans: Recorded) -> Any:
    span = tracer.start(http.SERVER, SpanKind.SERVER, {})
    assert span is not None
    token = current.enter(span)
    yield span
    current.leave(token)
    span.end()


def run(thread: threading.Thread) -> None:
    thread.start()
    thread.join(30)


def test_a_thread_works_in_the_context_it_was_started_in(outer: Any) -> None:
    seen: list[Any] = []
    run(threading.Thread(target=lambda: seen.append(trace.get_current_span())))
    assert seen == [outer]


def test_a_class_that_overrides_run_does_too(outer: Any) -> None:
    seen: list[Any] = []

    class Worker(threading.Thread):
        def __init__(self) -> None:
            super().__init__()

        def run(self) -> None:
            seen.append(trace.get_current_span())

    run(Worker())
    assert seen == [outer]


def test_a_timer_and_a_thread_of_a_thread_do_too(outer: Any) -> None:
    seen: list[Any] = []

    def nested() -> None:
        run(threading.Thread(target=lambda: seen.append(trace.get_current_span())))

    timer = threading.Timer(0, nested)
    run(timer)
    assert seen == [outer]


def test_the_starter_keeps_its_own_context(outer: Any) -> None:
    def work() -> None:
        inner = tracer.start(http.CLIENT, SpanKind.CLIENT, {})
        assert inner is not None
        current.enter(inner)

    run(threading.Thread(target=work))
    assert trace.get_current_span() is outer


def test_without_a_span_nothing_is_kept_on_the_thread(spans: Recorded) -> None:
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(patch.SLOT in thread.__dict__))
    run(thread)
    assert seen == [False]
    assert patch.SLOT not in thread.__dict__


def test_the_kept_context_is_gone_once_the_thread_runs(outer: Any) -> None:
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(patch.SLOT in threading.current_thread().__dict__))
    run(thread)
    assert seen == [False]


@pytest.mark.parametrize("module", ["kafka.producer.sender", "concurrent.futures.thread", "logging.handlers"])
def test_threads_of_clients_and_pools_belong_to_nobodys_span(outer: Any, module: str) -> None:
    importlib.import_module(module)
    seen: list[Any] = []
    kind = type(
        "Sender", (threading.Thread,), {"__module__": module, "run": lambda self: seen.append(nothing_current())}
    )
    run(kind())
    assert seen == [True]


def test_errors_of_start_are_pythons(outer: Any) -> None:
    thread = threading.Thread(target=lambda: None)
    run(thread)
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()


def test_a_failure_of_ours_starts_the_thread_all_the_same(outer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from autotrace import containment

    monkeypatch.setattr(patch, "_serves_every_caller", lambda thread: 1 / 0)
    seen: list[int] = []
    run(threading.Thread(target=lambda: seen.append(1)))
    assert seen == [1]
    assert containment.failures.pop("threading.Thread.start")[0] == 1


# How long a thread keeps what it was given -------------------------------------------------------------------------


LIBRARY = """
import queue, threading

class Client:
    def __init__(self, daemon):
        self.jobs, self.thread, self.daemon = queue.Queue(), None, daemon
    def send(self, job):
        if self.thread is None:
            self.thread = threading.Thread(target=self.run, daemon=self.daemon)
            self.thread.start()
        self.jobs.put(job)
        self.jobs.join()
    def run(self):
        while True:
            job = self.jobs.get()
            if job is None:
                return
            job()
            self.jobs.task_done()
    def stop(self):
        self.jobs.put(None)
        self.thread.join(30)

class Worker(threading.Thread):
    def __init__(self, job):
        super().__init__()
        self.job = job
    def run(self):
        self.job()

def in_a_thread(job):
    thread = threading.Thread(target=job)
    thread.start()
    thread.join(30)
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A library in site-packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "made_up_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(folder)
    yield importlib.import_module("made_up_library")
    del sys.modules["made_up_library"]


def seen_by_requests(work: Any, number: int = 3) -> list[bool]:
    """For each of some requests: did work(job) run its job in that request's span, or in none?"""
    found: list[bool] = []
    for _ in range(number):
        span = tracer.start(http.SERVER, SpanKind.SERVER, {})
        assert span is not None
        token = current.enter(span)
        work(lambda span=span: found.append(trace.get_current_span() in (span, trace.INVALID_SPAN)))
        current.leave(token)
        span.end()
    return found


@pytest.mark.parametrize("daemon", [True, False])
def test_a_worker_that_a_library_starts_in_a_request_does_not_keep_it(
    spans: Recorded, library: Any, daemon: bool
) -> None:
    client = library.Client(daemon)
    assert seen_by_requests(client.send) == [True] * 3
    client.stop()


def test_a_daemon_worker_of_the_programs_does_not_keep_it_either(spans: Recorded) -> None:
    jobs: Any = queue.Queue()

    def run() -> None:
        while True:
            jobs.get()()
            jobs.task_done()

    thread = threading.Thread(target=run, daemon=True)

    def work(job: Any) -> None:
        if not thread.is_alive():
            thread.start()
        jobs.put(job)
        jobs.join()

    assert seen_by_requests(work) == [True] * 3


def test_what_a_library_runs_in_a_short_thread_stays_in_the_request(outer: Any, library: Any) -> None:
    seen: list[Any] = []
    library.in_a_thread(lambda: seen.append(trace.get_current_span()))
    assert seen == [outer]


def test_a_librarys_class_with_a_run_of_its_own_gets_nothing(outer: Any, library: Any) -> None:
    seen: list[Any] = []
    run(library.Worker(lambda: seen.append(nothing_current())))
    assert seen == [True]


def test_the_programs_subclass_of_it_gets_what_its_own_run_says(outer: Any, library: Any) -> None:
    seen: list[Any] = []

    class Mine(library.Worker):  # type: ignore[misc, name-defined]
        def run(self) -> None:
            seen.append(trace.get_current_span())

    run(Mine(None))
    assert seen == [outer]


def test_a_thread_of_the_programs_keeps_it_after_the_span_has_ended(spans: Recorded) -> None:
    span, go, seen = tracer.start(http.SERVER, SpanKind.SERVER, {}), threading.Event(), list[Any]()
    assert span is not None
    token = current.enter(span)
    thread = threading.Thread(target=lambda: (go.wait(30), seen.append(trace.get_current_span())))
    thread.start()
    current.leave(token)
    span.end()
    go.set()
    thread.join(30)
    assert seen == [span]


def test_a_timer_that_starts_itself_again_leaves_the_request_behind(spans: Recorded) -> None:
    seen, done = list[Any](), threading.Event()

    def tick() -> None:
        seen.append(trace.get_current_span())
        if len(seen) < 4:
            threading.Timer(0.01, tick).start()
        else:
            done.set()

    span = tracer.start(http.SERVER, SpanKind.SERVER, {})
    assert span is not None
    token = current.enter(span)
    threading.Timer(0.05, tick).start()
    current.leave(token)
    span.end()
    assert done.wait(30)
    assert seen == [span] + [trace.INVALID_SPAN] * 3


def test_the_standard_librarys_listeners_get_nothing(outer: Any) -> None:
    import logging
    import logging.handlers

    seen: list[Any] = []

    class Handler(logging.Handler):
        def handle(self, record: Any) -> Any:
            seen.append(nothing_current())

    jobs: Any = queue.Queue()
    listener = logging.handlers.QueueListener(jobs, Handler())
    listener.start()
    jobs.put(logging.makeLogRecord({}))
    listener.stop()
    assert seen == [True]


def test_another_agents_replacement_of_start_does_not_make_threads_a_librarys(
    outer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentry's way: a function of its own, whose first argument is the thread."""
    space: dict[str, Any] = {"start": threading.Thread.start}
    code = compile(
        "def sentry_start(self, *a, **k):\n    return start(self, *a, **k)\n", "/x/site-packages/sentry.py", "exec"
    )
    exec(code, space)
    monkeypatch.setattr(threading.Thread, "start", space["sentry_start"])
    span = tracer.start(http.SERVER, SpanKind.SERVER, {})
    assert span is not None
    token, seen, go = current.enter(span), list[Any](), threading.Event()
    thread = threading.Thread(target=lambda: (go.wait(30), seen.append(trace.get_current_span())))
    thread.start()
    current.leave(token)
    span.end()
    go.set()
    thread.join(30)
    assert seen == [span]


def test_a_context_that_is_kept_until_the_span_ends_is_empty_afterwards(spans: Recorded) -> None:
    from opentelemetry import baggage
    from opentelemetry import context as api

    span = tracer.start(http.SERVER, SpanKind.SERVER, {})
    assert span is not None
    token = current.enter(span)
    kept = UntilEnded(baggage.set_baggage("a", "b"))
    current.leave(token)
    assert (trace.get_current_span(kept), baggage.get_baggage("a", kept)) == (span, "b")
    assert len(kept) == 2
    assert set(api.set_value("c", 1, kept)) == {*kept, "c"}
    span.end()
    assert trace.get_current_span(kept) is trace.INVALID_SPAN
    assert (baggage.get_baggage("a", kept), dict(kept), list(kept), len(kept), bool(kept)) == (None, {}, [], 0, False)
    assert (list(kept.keys()), list(kept.items()), list(kept.values()), kept.copy()) == ([], [], [], {})
    assert set(api.set_value("c", 1, kept)) == {"c"}
    assert type(kept)(kept) == {}
