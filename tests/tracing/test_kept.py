"""What spans keep of the values that a program gives them: nothing longer than the limit, nothing that it may change
later.
"""

from __future__ import annotations

import enum
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from autotrace.tracing import kept
from autotrace.tracing.span import Span


class Colour(str, enum.Enum):
    RED = "red" * 10


class Text(str):
    def __str__(self) -> str:
        return "another"


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "limit", 10)
    monkeypatch.setattr(kept, "message_limit", 10)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 10),
        (b"x" * 11, b"x" * 10),
        (bytearray(b"x" * 11), b"x" * 10),
        (Colour.RED, "redredredr"),
        (Text("x" * 11), "x" * 10),
        (5, 5),
        (True, True),
        (1.5, 1.5),
        (None, None),
        ([1, 2], (1, 2)),
        (["x" * 11], ("x" * 10,)),
        (["abcd", "efgh", "ijkl", "m"], ("abcd", "efgh")),
        (list(range(100)), tuple(range(10))),
        ({"a": "x" * 11, "b": ["y" * 11]}, {"a": "x" * 10, "b": ("y" * 10,)}),
    ],
    ids=repr,
)
def test_a_value_is_cut(value: Any, expected: Any) -> None:
    found = kept.kept(value)
    assert (found, type(found)) == (expected, type(expected))


def test_what_contains_itself_harms_nobody() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert kept.kept(endless)
    circle: dict[str, Any] = {}
    circle["me"] = circle
    assert kept.kept(circle)


def test_every_text_of_a_span_is_cut() -> None:
    span, long = Span(1, 2, 0, 1, None, SpanKind.INTERNAL, None, {}, None), "x" * 100
    span.set_attribute("a", long)
    span.set_attributes({"b": [long]})
    span.add_event(long, {"c": long})
    span.add_link(trace.SpanContext(1, 2, True), {"d": long})
    span.update_name(long)
    span.set_status(StatusCode.ERROR, long)
    span.fail(ValueError(long))
    cut = "x" * 10
    assert span.attributes == {"a": cut, "b": (cut,)}
    assert span.events and span.events[0][::2] == (cut, {"c": cut})
    assert span.links and span.links[0].attributes == {"d": cut}
    assert (span.given_name, span.status) == (cut, (StatusCode.ERROR, cut))
    assert span.failure and span.failure.message == cut


def test_attributes_are_taken_as_the_api_takes_them() -> None:
    span = Span(1, 2, 0, 1, None, SpanKind.INTERNAL, None, {}, None)
    given = {"a": [1, 2], "b": "text"}
    span.add_event("e", given)
    given["a"].append(3)  # type: ignore[attr-defined]
    span.add_event("e")
    assert span.events and [event.attributes for event in span.events] == [{"a": (1, 2), "b": "text"}, {}]
