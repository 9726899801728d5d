"""multiprocessing.pool: what a pool is given runs in the context in which it was given, whichever way, and nothing
stays behind.
"""

from __future__ import annotations

import json
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.patches import multiprocessing_pool as patch
from autotrace.semantics import http
from autotrace.tracing import cross_process, current, tracer
from tests import programs
from tests.recorded import Recorded, nothing_current


def trace_of(*_: Any) -> int:
    return trace.get_current_span().get_span_context().trace_id


def twice(number: int, by: int = 2) -> int:
    return number * by


def fails(number: int) -> None:
    raise KeyError(number)


WAYS: dict[str, Callable[[Any], Any]] = {
    "apply": lambda pool: [pool.apply(trace_of)],
    "apply_async": lambda pool: [pool.apply_async(trace_of, (1,)).get(30)],
    "apply_async by name": lambda pool: [pool.apply_async(func=trace_of, args=(1,)).get(30)],
    "map": lambda pool: pool.map(trace_of, range(3)),
    "map_async": lambda pool: pool.map_async(trace_of, range(3), chunksize=2).get(30),
    "starmap": lambda pool: pool.starmap(trace_of, [(1, 2), (3, 4)]),
    "imap": lambda pool: list(pool.imap(trace_of, range(3))),
    "imap in chunks": lambda pool: list(pool.imap(trace_of, range(3), 2)),
    "imap_unordered": lambda pool: list(pool.imap_unordered(trace_of, range(3))),
}


@pytest.fixture
def entered(spans: Recorded) -> Iterator[Any]:
    span = tracer.start(http.SERVER, SpanKind.SERVER, {})
    assert span is not None
    token = current.enter(span)
    yield span
    current.leave(token)


@pytest.fixture(scope="module", params=["threads", "fork"])
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = ThreadPool(2) if request.param == "threads" else multiprocessing.get_context(request.param).Pool(2)
    with made:
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_work_runs_in_the_trace_of_who_gave_it_and_leaves_the_workers_without(
    way: str, pool: Any, entered: Any
) -> None:
    assert set(WAYS[way](pool)) == {entered.trace_id}
    token = current.put(current.Context())
    assert set(WAYS[way](pool)) == {0}
    current.leave(token)


def test_results_errors_and_callbacks_are_the_librarys(pool: Any, entered: Any) -> None:
    got: list[Any] = []
    assert pool.apply(twice, (2,), {"by": 3}) == 6
    assert pool.apply_async(twice, (2,), callback=got.append).get(30) == 4
    with pytest.raises(KeyError, match="7"):
        pool.apply_async(fails, (7,), error_callback=got.append).get(30)
    assert got[0] == 4
    assert isinstance(got[1], KeyError)
    with pytest.raises(TypeError):
        pool.apply_async()


@pytest.mark.parametrize("way", WAYS)
def test_workers_born_within_a_span_do_not_stay_in_it(way: str, entered: Any) -> None:
    for make in (ThreadPool, multiprocessing.get_context("fork").Pool):
        with make(1) as born_here:
            token = current.put(current.Context())
            assert set(WAYS[way](born_here)) == {0}
            current.leave(token)


def test_what_cannot_be_pickled_is_said_as_without_us(entered: Any) -> None:
    with multiprocessing.get_context("fork").Pool(1) as processes, pytest.raises(Exception, match="pickle") as told:
        processes.apply(lambda: 1)
    assert isinstance(told.value, (pickle.PicklingError, AttributeError))


def test_a_pool_that_runs_another_python_is_left_alone(monkeypatch: pytest.MonkeyPatch, entered: Any) -> None:
    spawning = multiprocessing.get_context("spawn")
    with ThreadPool(1) as threads:
        monkeypatch.setattr(threads, "_ctx", spawning, raising=False)
        monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: "/another/python")
        assert cross_process.reaches(threads, "_ctx") is False
        monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: sys.executable)
        assert cross_process.reaches(threads, "_ctx") is True


def test_our_failure_costs_the_trace_and_nothing_else(monkeypatch: pytest.MonkeyPatch, entered: Any) -> None:
    from autotrace import containment

    monkeypatch.setattr(patch, "_carrying", lambda *_: 1 / 0)
    with ThreadPool(1) as threads:
        assert threads.apply(twice, (2,)) == 4
        assert threads.apply(nothing_current)
    assert list(containment.failures) == ["multiprocessing.pool"]
    containment.failures.clear()


def test_a_class_of_the_programs_own_is_carried_for_too(entered: Any) -> None:
    class Own(Pool):
        pass

    with Own(1, context=multiprocessing.get_context("fork")) as own:
        assert own.apply(trace_of) == entered.trace_id


PROGRAM = """
import json, multiprocessing, sqlite3, sys
from opentelemetry import trace

def seen(_):
    return trace.get_current_span().get_span_context().trace_id

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        with trace.get_tracer("t").start_as_current_span("s") as span:
            here = span.get_span_context().trace_id
            within = [*pool.map(seen, range(2)), pool.apply(seen, (0,)), *pool.imap(seen, range(2))]
        print(json.dumps([set(within) == {here}, pool.map(seen, range(2))]))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_that_is_started_anew_gets_the_trace_too(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = programs.on_path(sys.executable, str(program), method)
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (0, "", [True, [0, 0]])
