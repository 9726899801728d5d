"""concurrent.futures: work runs in the context it was submitted in, and leaves none on the pool's threads (peers.md 4)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.semantics import http
from autotrace.tracing import current, tracer
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
