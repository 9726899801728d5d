"""concurrent.futures: work runs in the context it was submitted in, and leaves none on the pool's threads."""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.semantics import http
from autotrace.tracing import current, tracer
from tests import programs
from tests.recorded import Recorded, nothing_current


def span_now() -> Any:
    return trace.get_current_span()


def entered() -> Any:
    span = tracer.start(http.SERVER, SpanKind.SERVER, {})
    assert span is not None
    return span, current.enter(span)


def test_submitted_work_runs_in_the_context_it_was_submitted_in(spans: Recorded) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            span, token = entered()
            future = pool.submit(span_now)
            current.leave(token)
            assert future.result() is span
            span.end()


def test_the_pools_threads_keep_no_context(spans: Recorded) -> None:
    """The worker thread is started by the first submit; it must not stay in that span."""
    with ThreadPoolExecutor(1) as pool:
        span, token = entered()
        pool.submit(span_now).result()
        current.leave(token)
        span.end()
        assert pool.submit(nothing_current).result()


def test_map_and_run_in_executor_carry_too(spans: Recorded) -> None:
    with ThreadPoolExecutor(2) as pool:
        span, token = entered()
        assert list(pool.map(lambda _: span_now(), range(3))) == [span] * 3

        async def main() -> Any:
            return await asyncio.get_running_loop().run_in_executor(pool, span_now)

        assert asyncio.run(main()) is span
        current.leave(token)
        span.end()


def test_a_child_of_the_work_is_a_child_of_the_submitters_span(spans: Recorded) -> None:
    def work() -> None:
        child = tracer.start(http.CLIENT, SpanKind.CLIENT, {})
        assert child is not None
        child.end()

    with ThreadPoolExecutor(1) as pool:
        span, token = entered()
        pool.submit(work).result()
        current.leave(token)
    assert spans.one().parent_id == span.span_id


def test_arguments_results_and_errors_are_untouched(spans: Recorded) -> None:
    def work(*args: object, **kwargs: object) -> object:
        if "fail" in kwargs:
            raise LookupError("theirs")
        return args, kwargs

    with ThreadPoolExecutor(1) as pool:
        span, token = entered()
        assert pool.submit(work, 1, context=2, work=3).result() == ((1,), {"context": 2, "work": 3})
        with pytest.raises(LookupError, match="theirs"):
            pool.submit(work, fail=1).result()
        with pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]
        current.leave(token)
        span.end()


class TestProcesses:
    """A pool of processes, in a program of its own: each way to start them, with and without autotrace in them."""

    PROGRAM = """
import asyncio, json, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

def seen():
    from opentelemetry import baggage, trace
    if "autotrace.activation" not in sys.modules:
        return None
    span = trace.get_tracer("there").start_span("work")
    found = span.get_span_context()
    span.end()
    parent = trace.get_current_span().get_span_context()
    return [found.trace_id, parent.span_id, getattr(span, "parent_id", None), baggage.get_baggage("order")]

def doubled(number):
    return number * 2, seen()

def fails():
    raise LookupError("there")

def main(method):
    from opentelemetry import baggage, context, trace
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        told = {}
        token = context.attach(baggage.set_baggage("order", "7"))
        with trace.get_tracer("here").start_as_current_span("request") as span:
            here = span.get_span_context()
            told["here"] = [here.trace_id, here.span_id]
            told["within"] = pool.submit(seen).result()
            told["mapped"] = list(pool.map(doubled, range(2)))
            async def loop():
                return await asyncio.get_running_loop().run_in_executor(pool, seen)
            told["loop"] = asyncio.run(loop())
            told["error"] = repr(pool.submit(fails).exception())
            told["unpicklable"] = type(pool.submit(lambda: 1).exception()).__name__
        context.detach(token)
        told["after"] = pool.submit(seen).result()
    print(json.dumps(told))

if __name__ == "__main__":
    PARENT
    main(sys.argv[1])
"""

    def run(self, folder: Path, method: str, parent: str = "pass", *, instrumented: bool = True) -> Any:
        program = folder / "program.py"
        program.write_text(self.PROGRAM.replace("PARENT", parent))
        start = programs.on_path if instrumented else programs.bare
        done = start(sys.executable, str(program), method, AUTOTRACE_EXPORTER="none")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_work_for_a_process_stays_in_the_trace(self, tmp_path: Path, method: str) -> None:
        told = self.run(tmp_path, method)
        trace_id, span_id = told["here"]
        assert told["within"] == told["loop"] == [trace_id, span_id, span_id, "7"]
        assert told["mapped"] == [[0, told["within"]], [2, told["within"]]]
        assert told["error"] == "LookupError('there')"

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_the_pools_processes_keep_no_context(self, tmp_path: Path, method: str) -> None:
        """A forked one begins with a copy of its parent's: the one that submitted first."""
        after = self.run(tmp_path, method)["after"]
        assert after[1:] == [0, 0, None]

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_a_process_without_autotrace_works_as_it_would(self, tmp_path: Path, method: str) -> None:
        """Activated by the program itself, in its main part: the processes are not."""
        told = self.run(tmp_path, method, "import autotrace; autotrace.activate()", instrumented=False)
        assert told["within"] is None
        assert told["mapped"] == [[0, None], [2, None]]
        assert told["error"] == "LookupError('there')"

    def test_another_python_is_left_alone(self, tmp_path: Path) -> None:
        """It may not even have autotrace, and then could not unpickle anything of ours."""
        other = tmp_path / "python"
        other.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
        other.chmod(0o755)
        told = self.run(tmp_path, "spawn", f"multiprocessing.set_executable({str(other)!r})")
        assert told["error"] == "LookupError('there')"
        assert told["within"] is None or told["within"][1:] == [0, 0, None]

    def test_errors_are_the_ones_of_the_library(self, tmp_path: Path) -> None:
        traced = self.run(tmp_path, "fork")
        plain = self.run(tmp_path, "fork", instrumented=False)
        assert traced["unpicklable"] == plain["unpicklable"] != "NoneType"

    def test_wrong_calls_fail_as_they_would(self) -> None:
        with ProcessPoolExecutor(1) as pool, pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]
