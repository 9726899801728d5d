"""The program's own calls of the API take what the API's no-op span takes, and what is exported stays well formed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from autotrace.tracing import tracer
from autotrace.tracing.span import Span
from tests.recorded import Recorded, tags


class Odd:
    """It has neither a text nor a hash."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__

    def __hash__(self) -> int:
        raise ValueError("no hash")


ANYTHING: list[Any] = [
    None,
    5,
    1.5,
    "text",
    b"bytes",
    Odd(),
    [],
    [1],
    ["k"],
    {},
    {"k": 1},
    {1: 2},
    {"k": Odd()},
    [("k", 1)],
    object,
    float("nan"),
]
CALLS: dict[str, Callable[[Any, Any], object]] = {
    "set_status": lambda span, given: span.set_status(given),
    "set_status, description": lambda span, given: span.set_status(StatusCode.ERROR, given),
    "set_attribute, key": lambda span, given: span.set_attribute(given, 1),
    "set_attribute, value": lambda span, given: span.set_attribute("k", given),
    "set_attributes": lambda span, given: span.set_attributes(given),
    "add_event, name": lambda span, given: span.add_event(given),
    "add_event, attributes": lambda span, given: span.add_event("e", given),
    "add_event, timestamp": lambda span, given: span.add_event("e", {}, given),
    "record_exception": lambda span, given: span.record_exception(given),
    "record_exception, attributes": lambda span, given: span.record_exception(ValueError("v"), given),
    "record_exception, timestamp": lambda span, given: span.record_exception(ValueError("v"), None, given),
    "record_exception, without text": lambda span, given: span.record_exception(ValueError(given)),
    "add_link": lambda span, given: span.add_link(given),
    "add_link, attributes": lambda span, given: span.add_link(trace.SpanContext(1, 2, True), given),
    "update_name": lambda span, given: span.update_name(given),
    "end": lambda span, given: span.end(given),
    "start_span, name": lambda span, given: trace.get_tracer("t").start_span(given).end(),
    "start_span, attributes": lambda span, given: trace.get_tracer("t").start_span("s", attributes=given).end(),
    "start_span, links": lambda span, given: trace.get_tracer("t").start_span("s", links=given).end(),
    "start_span, one link": lambda span, given: trace.get_tracer("t").start_span("s", links=[given]).end(),
    "start_span, start_time": lambda span, given: trace.get_tracer("t").start_span("s", start_time=given).end(),
    "start_span, kind": lambda span, given: trace.get_tracer("t").start_span("s", kind=given).end(),
    "get_tracer": lambda span, given: trace.get_tracer(given).start_span("s").end(),
}


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_raised_and_names_times_and_keys_are_of_their_kind(spans: Recorded, call: str) -> None:
    for given in ANYTHING:
        span = trace.get_tracer("t").start_span("span")
        CALLS[call](span, given)
        span.end()
    for ended in spans:
        assert isinstance(ended.name, str)
        assert all(isinstance(key, str) for key in tags(ended))
        assert isinstance(ended.kind, SpanKind)
        times = [ended.start_time, ended.end_time, *(event.time for event in ended.events or ())]
        assert all(isinstance(time, int) for time in times)
        assert all(isinstance(event.name, str) for event in ended.events or ())


def test_right_arguments_are_kept(spans: Recorded) -> None:
    with trace.get_tracer("t").start_as_current_span("a", attributes={"k": [1, 2]}, start_time=5) as span:
        span.set_status(Status(StatusCode.ERROR, "why"))
        span.add_event("e", {"x": 1}, 7)
        span.add_link(trace.SpanContext(1, 2, True), {"l": 1})
        span.update_name("b")
    ended = spans.one()
    assert (ended.name, ended.start_time, ended.attributes) == ("b", 5, {"k": (1, 2)})
    assert ended.status == (StatusCode.ERROR, "why")
    assert [(e.name, e.time, e.attributes) for e in ended.events or ()] == [("e", 7, {"x": 1})]
    assert [(link.trace_id, link.attributes) for link in ended.links or ()] == [(1, {"l": 1})]


class Processor:
    def __init__(self) -> None:
        self.started: list[tuple[str, Any]] = []

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self.started.append((span.name, parent_context))
        span.set_attribute("stamped", True)


class Failing(Processor):
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        raise ValueError("of the processor's own")


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracer.provider, "processors", [])
    monkeypatch.setattr(Span, "__init__", Span.__init__)


def test_span_processors_hear_of_the_start_of_every_span_and_may_change_it(spans: Recorded, processors: None) -> None:
    from autotrace import containment
    from autotrace.semantics import http

    failing, processor = Failing(), Processor()
    tracer.provider.add_span_processor(failing)
    tracer.provider.add_span_processor(processor)
    with trace.get_tracer("t").start_as_current_span("manual"):
        family = tracer.start(http.CLIENT, SpanKind.CLIENT, {"method": "GET"})
        assert family is not None
        family.end()
    assert [name for name, _ in processor.started] == ["manual", family.name]
    assert all(span.attributes == {"stamped": True} for span in spans)
    assert containment.failures.pop("the span processor Failing")[0] == 2
