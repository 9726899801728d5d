"""Each value in a span reaches an independent decoder, in both protocols, unchanged or as the nearest in Thrift."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind

from autotrace.export.jaeger import thrift_binary, thrift_compact
from autotrace.export.jaeger.encoder import Encoder
from autotrace.export.tag_value import shorten, to_tag_value
from autotrace.semantics import http
from autotrace.tracing.span import FOLLOWS_FROM
from test_services.jaeger_thrift import ReceivedSpan, from_batch, from_message
from tests.export.finished import Resource, as_sent, ended, expected, new

TEXT = st.text(st.characters(), max_size=12)  # lone surrogates among them
NUMBERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**100])
VALUES = TEXT | st.booleans() | NUMBERS | st.floats() | st.binary(max_size=12) | st.none()
TAGS = st.dictionaries(TEXT, VALUES | st.lists(VALUES, max_size=4) | st.tuples(VALUES), max_size=5)
IDS_64 = st.integers(1, 2**64 - 1)
TRACE_IDS = IDS_64 | st.integers(1, 2**128 - 1)


def round_trips(spans: list[Any], resource: Any) -> list[list[ReceivedSpan]]:
    """Through each protocol."""
    decoded = []
    for thrift, protocol in ((thrift_binary, "binary"), (thrift_compact, "compact")):
        encoder = Encoder(thrift)  # type: ignore[arg-type]
        process = encoder.process(resource.service_name, resource.tags)
        bodies = [encoder.encode(span) for span in spans]
        decoded.append(from_message(thrift.message(process, bodies), protocol))
        if thrift is thrift_binary:
            decoded.append(from_batch(thrift.batch(process, bodies)))
    return decoded


def unique(tags: dict[Any, Any]) -> bool:
    return len({key.encode("utf-8", "replace") for key in tags}) == len(tags)


@given(
    tags=TAGS.filter(unique),
    process=TAGS.filter(unique),
    name=TEXT,
    ids=st.tuples(TRACE_IDS, IDS_64, st.just(0) | IDS_64),
    kind=st.sampled_from(SpanKind),
    start=st.integers(0, 2**62),
    duration=st.integers(0, 2**60),
    events=st.lists(st.tuples(TEXT, st.integers(1, 2**62), TAGS.filter(unique)), max_size=3),
    links=st.lists(st.tuples(TRACE_IDS, IDS_64), max_size=3, unique=True),
    failure=st.none() | st.builds(ValueError, TEXT),
)
def test_anything_comes_out_as_it_went_in(
    tags: Any,
    process: Any,
    name: str,
    ids: Any,
    kind: Any,
    start: int,
    duration: int,
    events: Any,
    links: Any,
    failure: Any,
) -> None:
    span = new(kind, http.CLIENT, {"method": "GET", "status": 200})
    span.trace_id, span.span_id, span.parent_id = ids
    span.given_name, span.start_time = name, start
    span.attributes = tags
    for event, time, attributes in events:
        span.add_event(event, attributes, time)
    for trace_id, span_id in links:
        span.link(trace_id, span_id, FOLLOWS_FROM)
    if failure is not None:
        span.fail(failure)
    span.end(start + duration)
    resource = Resource("é\ud800", **process)
    wanted = expected(span, resource)
    wanted.name = name.encode("utf-8", "replace").decode()
    wanted.service = "é?"
    for (got,) in round_trips([span], resource):
        assert got == wanted
        assert [type(value) for value in got.tags.values()] == [type(value) for value in wanted.tags.values()]


@given(st.lists(st.dictionaries(st.sampled_from(["method", "url", "status", "route", "resend"]), VALUES), max_size=4))
def test_the_fast_path_writes_the_same_as_the_plain_one(facts: list[dict[str, Any]]) -> None:
    resource = Resource()
    spans = [ended(new(SpanKind.CLIENT, http.CLIENT, one)) for one in facts]
    for decoded in round_trips(spans, resource):
        for got, span in zip(decoded, spans, strict=True):
            assert got.tags == as_sent({**expected(span, resource).tags})
            assert got.name == span.name.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("count", [0, 1, 13, 14, 15, 16, 127, 128, 129])
def test_lists_of_every_length_can_be_read(count: int) -> None:
    """The compact protocol writes fourteen and fifteen differently. The span's kind is one tag more."""
    span, small = new(), ended(new())
    span.attributes = {f"key {number}": number for number in range(count)}
    for number in range(min(count, 128)):
        span.add_event("e", {} if number else span.attributes)
        span.link(1, 1 + number, {})
    resource = Resource(**{f"tag {number}": "v" for number in range(count)})
    ended(span)
    for got, *rest in round_trips([span] + [small] * count, resource):
        assert len(rest) == count
        assert got.tags == {**span.attributes, "span.kind": "internal"}
        assert len(got.logs) == len(got.references) == min(count, 128)
        assert not got.logs or got.logs[0][1] == {"event": "e", **span.attributes}
        assert got.process_tags == resource.tags


class Colour(str, enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


class Rude:
    def __str__(self) -> str:
        raise RuntimeError


circle: list[Any] = []
circle.append(circle)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        pytest.param(10**5000, hex(10**5000), id="more digits than Python writes"),
        (Size.LARGE, 3),
        (Colour.RED, "red"),
        (1.5, 1.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (bytearray(b"\xff"), b"\xff"),
        (memoryview(b"ab"), b"ab"),
        ((1, "é", None, True), '[1, "é", null, true]'),
        ({"a": {b"b"}}, '{"a": ["b"]}'),
        (frozenset({1}), "[1]"),
        (range(3), "[0, 1, 2]"),
        (circle, "[[...]]"),
        (Rude(), "(its text cannot be read)"),
        (int, "<class 'int'>"),
    ],
)
def test_other_values_become_the_nearest_that_thrift_has(value: Any, sent: Any) -> None:
    assert to_tag_value(value) == sent
    assert type(to_tag_value(value)) is type(sent)


@given(TEXT | st.binary(), st.integers(32, 80))
def test_a_shortened_value_fits(value: Any, most: int) -> None:
    cut = shorten(value, most)
    raw = cut.encode("utf-8", "replace") if isinstance(cut, str) else cut
    whole = value.encode("utf-8", "replace") if isinstance(value, str) else value
    assert len(raw) <= most
    assert len(whole) > most or cut == value
