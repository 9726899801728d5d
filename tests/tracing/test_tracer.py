"""New spans: parents, ids, and what the OpenTelemetry API sees of them."""

from __future__ import annotations

import os
import random
import threading

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from autotrace.propagation.context import RANDOM, SAMPLED, SHORT
from autotrace.semantics import http
from autotrace.tracing import current, new_span, tracer
from autotrace.tracing.span import Span
from tests.recorded import Recorded, is_child, tags

from .started import injected, remote, start


def test_a_span_without_a_parent_begins_a_trace(spans: Recorded) -> None:
    span = start()
    assert span.parent_id == 0
    assert 0 < span.trace_id < 1 << 128
    assert 0 < span.span_id < 1 << 64
    span.end()
    assert spans == [span]


def test_a_span_is_the_child_of_the_current_one(spans: Recorded) -> None:
    outer = start()
    token = current.enter(outer)
    assert trace.get_current_span() is outer
    inner = start()
    current.leave(token)
    assert is_child(inner, outer)
    assert start().trace_id != outer.trace_id


def test_a_remote_parent_wins_over_the_current_span(spans: Recorded) -> None:
    token = current.enter(start())
    span = start(remote())
    current.leave(token)
    assert (span.trace_id, span.parent_id, span.trace_state) == (0xABC, 0xDEF, "vendor=1")


def test_short_ids_stay_short_and_the_random_flag_stays(spans: Recorded) -> None:
    span = start(remote(SAMPLED | SHORT | RANDOM))
    token = current.enter(span)
    child = start()
    headers = injected(child)
    current.leave(token)
    assert headers["X-B3-TraceId"] == f"{0xABC:016x}"
    assert headers["traceparent"].endswith("-03")


def test_new_traces_may_have_64_bits(spans: Recorded) -> None:
    new_span.trace_id_bits = 64
    span = start()
    assert span.trace_id < 1 << 64
    assert len(injected(span)["X-B3-TraceId"]) == 16


def test_our_ids_draw_nothing_from_the_programs_random_numbers(spans: Recorded) -> None:
    random.seed(42)
    expected = [random.random() for _ in range(3)]
    random.seed(42)
    drawn = []
    for _ in range(3):
        start().end()
        drawn.append(random.random())
    assert drawn == expected


def test_a_forked_child_draws_other_ids(spans: Recorded) -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"%032x" % start().trace_id)
        os._exit(0)
    ours = start().trace_id
    os.waitpid(pid, 0)
    assert int(os.read(read, 32), 16) != ours
    os.close(read)
    os.close(write)


def test_suppressed_work_makes_no_span(spans: Recorded) -> None:
    token = context.attach(context.set_value(current.SUPPRESS_KEY, True))
    assert tracer.start(http.CLIENT, SpanKind.CLIENT, {}) is None
    assert trace.get_tracer("x").start_span("y") is trace.INVALID_SPAN
    context.detach(token)


def test_the_programs_spans_and_ours_nest_both_ways(spans: Recorded) -> None:
    with trace.get_tracer("shop").start_as_current_span("work", attributes={"a": [1, 2]}) as work:
        ours = start()
        token = current.enter(ours)
        with trace.get_tracer("shop").start_as_current_span("deeper"):
            pass
        current.leave(token)
        ours.end()
    deeper, ours_, work_ = spans
    assert is_child(ours_, work_)
    assert is_child(deeper, ours_)
    assert work_ is work
    assert (work_.name, work_.scope, tags(work_)) == ("work", "shop", {"a": (1, 2)})


def test_start_as_current_span_decorates_too(spans: Recorded) -> None:
    @trace.get_tracer("shop").start_as_current_span("decorated")
    def work() -> int:
        return 3

    assert work() == 3
    assert work() == 3
    assert [span.name for span in spans] == ["decorated", "decorated"]


def test_with_span_ends_it_without_making_it_current(spans: Recorded) -> None:
    """OpenTelemetry's Span as a context manager: it only ends."""
    with trace.get_tracer("shop").start_span("work") as span:
        assert trace.get_current_span() is not span
    assert spans == [span]


def test_a_given_context_is_the_parent(spans: Recorded) -> None:
    parent = start()
    inner = trace.get_tracer("x").start_span("y", context=trace.set_span_in_context(parent))
    assert isinstance(inner, Span)
    assert is_child(inner, parent)
    foreign = SpanContext(5, 6, True, TraceFlags(1))
    other = trace.get_tracer("x").start_span("y", context=trace.set_span_in_context(trace.NonRecordingSpan(foreign)))
    assert isinstance(other, Span)
    assert (other.trace_id, other.parent_id) == (5, 6)


def test_leaving_in_another_execution_context_is_quiet(spans: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """No 'different Context' in anybody's log."""
    tokens = []
    thread = threading.Thread(target=lambda: tokens.append(current.enter(start())))
    thread.start()
    thread.join()
    current.leave(tokens[0])
    assert caplog.records == []
