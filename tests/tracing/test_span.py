"""A span's own data: events, links, status, limits, and the exception that left it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from autotrace.propagation.context import DEBUG, SAMPLED, SHORT
from autotrace.semantics import span_reader
from tests.recorded import Recorded, tags

from .started import remote, start


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


def test_an_exception_in_a_span_of_the_programs_is_recorded_once_and_raised(spans: Recorded) -> None:
    with pytest.raises(ValueError, match="no"), trace.get_tracer("shop").start_as_current_span("work"):
        raise ValueError("no")
    span = spans.one()
    assert span_reader.error_type(span) == "error"
    assert [event.name for event in span.events or ()] == ["exception"]
    assert span_reader.status_text(span) == "ValueError: no"
