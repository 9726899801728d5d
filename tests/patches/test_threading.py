"""threading: a thread works in the context that it was started in; threads that serve every caller do not."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.patches import threading as patch
from autotrace.semantics import http
from autotrace.tracing import current, tracer
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
