"""Spans and samplers: parents, decisions, ids, and what the OpenTelemetry API sees of them."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT, Remote
from autotrace.semantics import http, span_reader
from autotrace.tracing import current, propagate, sampling, tracer
from autotrace.tracing.span import Span
from tests.recorded import Recorded, is_child, record, tags


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracer.provider)
    for name in ("decide", "parent_based", "trace_id_bits"):
        monkeypatch.setattr(tracer, name, getattr(tracer, name))
    with record() as recorded:
        yield recorded


def start(remote: Remote | None = None) -> Span:
    span = tracer.start(http.CLIENT, SpanKind.CLIENT, {"method": "GET"}, None, remote)
    assert span is not None
    return span


def remote(flags: int = SAMPLED, decision: bool | None = True, trace_id: int = 0xABC, span_id: int = 0xDEF) -> Remote:
    return Remote(trace_id, span_id, flags, decision, "vendor=1")


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


@pytest.mark.parametrize(
    ("sampler", "decision", "kept"),
    [
        ("parentbased_always_on", None, True),
        ("parentbased_always_on", True, True),
        ("parentbased_always_on", False, False),
        ("parentbased_always_off", None, False),
        ("parentbased_always_off", True, True),
        ("parentbased_always_off", False, False),
        ("always_on", False, True),
        ("always_off", True, False),
    ],
)
def test_a_callers_decision_counts_first_where_the_sampler_is_parent_based(
    spans: Recorded, sampler: str, decision: bool | None, kept: bool
) -> None:
    tracer.configure(sampler, 1, True)
    span = start(remote(SAMPLED if decision else 0, decision))
    assert span.is_recording() is kept
    span.end()
    assert len(spans) == kept


def test_debug_is_kept_whatever_the_sampler_says_and_stays_debug_downstream(spans: Recorded) -> None:
    tracer.configure("always_off", 1, True)
    span = start(remote(SAMPLED | DEBUG))
    token = current.enter(span)
    child = start()
    current.leave(token)
    assert child.flags & DEBUG
    assert child.is_recording()


def test_a_denied_trace_keeps_its_ids_and_exports_nothing(spans: Recorded) -> None:
    span = start(remote(0, False))
    token = current.enter(span)
    headers = dict(propagate.http_headers(start(), "h"))
    current.leave(token)
    span.end()
    assert headers["X-B3-TraceId"] == f"{0xABC:032x}"
    assert headers["X-B3-Sampled"] == "0"
    assert headers["traceparent"].endswith("-00")
    assert spans == []


def test_a_decision_without_ids_begins_a_trace_that_obeys_it(spans: Recorded) -> None:
    span = start(Remote(0, 0, 0, False))
    assert span.trace_id
    assert span.parent_id == 0
    assert not span.is_recording()


def test_short_ids_stay_short_and_the_random_flag_stays(spans: Recorded) -> None:
    span = start(remote(SAMPLED | SHORT | RANDOM))
    token = current.enter(span)
    child = start()
    headers = dict(propagate.http_headers(child, "h"))
    current.leave(token)
    assert headers["X-B3-TraceId"] == f"{0xABC:016x}"
    assert headers["traceparent"].endswith("-03")


def test_new_traces_may_have_64_bits(spans: Recorded) -> None:
    tracer.configure("always_on", 1, False)
    span = start()
    assert span.trace_id < 1 << 64
    assert len(dict(propagate.http_headers(span, "h"))["X-B3-TraceId"]) == 16


def test_a_ratio_keeps_that_share_and_decides_alike_everywhere() -> None:
    keep, parent_based = sampling.decision("parentbased_traceidratio", 0.25)
    assert parent_based
    ids = [random.Random(7).getrandbits(128) for _ in range(1)] + [random.getrandbits(128) for _ in range(20000)]
    kept = [trace_id for trace_id in ids if keep(trace_id)]
    assert 0.22 < len(kept) / len(ids) < 0.28
    assert all(sampling.decision("traceidratio", 0.5)[0](trace_id) for trace_id in kept)


def test_a_rate_limit_lets_so_many_through_a_second() -> None:
    moment = [100.0]
    limit = sampling.RateLimit(2, lambda: moment[0])
    assert [limit(1) for _ in range(4)] == [True, True, False, False]
    moment[0] += 0.5
    assert [limit(1) for _ in range(2)] == [True, False]
    moment[0] += 60
    assert [limit(1) for _ in range(3)] == [True, True, False]


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


# The program's own OpenTelemetry code ---------------------------------------------------------------------------------


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


def test_an_exception_in_a_span_of_the_programs_is_recorded_once_and_raised(spans: Recorded) -> None:
    with pytest.raises(ValueError, match="no"), trace.get_tracer("shop").start_as_current_span("work"):
        raise ValueError("no")
    span = spans.one()
    assert span_reader.error_type(span) == "error"
    assert [event.name for event in span.events or ()] == ["exception"]
    assert span_reader.status_text(span) == "ValueError: no"


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


def test_links_events_status_and_names_are_kept(spans: Recorded) -> None:
    link = Link(SpanContext(5, 6, True), {"why": "because"})
    span = trace.get_tracer("x").start_span("y", kind=SpanKind.INTERNAL, links=[link], start_time=5)
    span.add_event("moment", {"n": 1}, timestamp=7)
    span.update_name("z")
    span.set_status(Status(StatusCode.ERROR, "bad"))
    span.set_status(StatusCode.UNSET)
    span.end(end_time=9)
    kept = spans.one()
    assert (kept.name, kept.start_time, kept.end_time) == ("z", 5, 9)
    assert kept.links is not None
    assert (kept.links[0].trace_id, kept.links[0].span_id, kept.links[0].attributes) == (5, 6, {"why": "because"})
    assert span_reader.events(kept) == [("moment", 7, {"n": 1})]
    assert (span_reader.error_type(kept), span_reader.status_text(kept)) == ("error", "bad")


def test_a_span_that_is_not_sampled_ends_all_the_same(spans: Recorded) -> None:
    span = start(remote(0, False))
    span.end()
    assert span.end_time is not None
    assert not span.is_recording()
    assert spans == []


def test_ok_is_final(spans: Recorded) -> None:
    span = start()
    span.fail(ValueError("recorded all the same"))
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR, "late")
    span.end()
    assert span_reader.error_type(span) == ""


def test_an_ended_span_changes_no_more(spans: Recorded) -> None:
    span = start()
    span.end()
    first = span.end_time
    span.end()
    span.set_attribute("a", 1)
    span.add_event("b")
    span.update_name("c")
    span.set_status(StatusCode.ERROR)
    span.fail(ValueError())
    assert (span.end_time, tags(span).get("a"), span.events, span.name, span.failure) == (
        first,
        None,
        None,
        "GET",
        None,
    )
    assert spans == [span]


def test_the_limits_hold_and_what_exceeds_them_is_counted(spans: Recorded) -> None:
    span = start()
    for number in range(130):
        span.set_attribute(f"a{number}", number)
        span.add_event("e")
        span.link(1, 2, {})
    assert (len(span.attributes or ()), len(span.events or ()), len(span.links or ()), span.dropped) == (
        128,
        128,
        128,
        6,
    )
    span.set_attribute("a0", "again")
    assert span.attributes is not None
    assert span.attributes["a0"] == "again"


def test_the_span_context_is_the_apis(spans: Recorded) -> None:
    known = start(remote(SAMPLED | DEBUG | SHORT)).get_span_context()
    assert known.is_valid
    assert (known.trace_id, int(known.trace_flags), known.trace_state.to_header()) == (0xABC, 1, "vendor=1")


def test_a_failure_holds_no_object_of_the_program(spans: Recorded) -> None:
    import gc
    import weakref

    class Held:
        pass

    def work() -> Any:
        held = Held()
        watch.append(weakref.ref(held))
        raise ValueError("with a local")

    watch: list[Any] = []
    span = start()
    try:
        work()
    except ValueError as error:
        span.fail(error)
    span.end()
    gc.collect()
    assert watch[0]() is None
    assert "in work" in span_reader.events(span)[-1][2]["stack"]


def test_an_error_whose_text_raises_is_still_recorded(spans: Recorded) -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    span = start()
    span.fail(Nasty())
    span.end()
    assert span_reader.error_type(span).endswith("Nasty")


def test_baggage_and_mesh_headers_come_in_and_go_out(spans: Recorded) -> None:
    incoming = propagate.extract_http(
        {"traceparent": f"00-{5:032x}-{6:016x}-01", "baggage": "k=v", "x-request-id": "a b"}
    )
    assert incoming is not None
    token = current.enter(start(incoming), incoming)
    assert baggage.get_baggage("k") == "v"
    inner = context.attach(baggage.set_baggage("own", "1"))
    headers = dict(propagate.http_headers(start(), "h"))
    context.detach(inner)
    current.leave(token)
    assert headers["baggage"].split(",") == ["k=v", "own=1"]
    assert headers["x-request-id"] == "a b"
    assert baggage.get_baggage("k") is None


def test_targets_limit_who_gets_headers(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagate, "propagator", propagate.propagator)
    monkeypatch.setattr(propagate, "_targets", None)
    propagate.configure(("tracecontext",), (), ("*.svc.cluster.local", "billing"))
    span = start()
    assert propagate.http_headers(span, "billing")
    assert propagate.http_headers(span, "Billing")
    assert propagate.http_headers(span, "a.svc.cluster.local")
    assert propagate.http_headers(span, "api.example.com") == []
    assert propagate.http_headers(span, "billing.example.com") == []


def test_leaving_in_another_execution_context_is_quiet(spans: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """No 'different Context' in anybody's log."""
    tokens = []
    thread = threading.Thread(target=lambda: tokens.append(current.enter(start())))
    thread.start()
    thread.join()
    current.leave(tokens[0])
    assert caplog.records == []
