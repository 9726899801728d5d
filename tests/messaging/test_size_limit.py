"""Trace headers do not push a record over its producer's limit."""

from __future__ import annotations

from typing import Any

import pytest

from autotrace.messaging.size_limit import fits, removable, within_limit
from autotrace.tracing import tracer
from autotrace.tracing.current import enter, leave
from tests.recorded import Recorded


def size(value: bytes, headers: Any) -> int:
    return len(value) + sum(len(name) + len(content) for name, content in headers)


def measured(limit: int, given: Any, late: Any = ()) -> tuple[int, Any]:
    """(the size that the client sees, the headers that it sends)."""
    injected = [*(given or ()), ("b3", b"1234567890")]
    span = tracer.start(None, tracer.SpanKind.PRODUCER, {})
    assert span is not None
    removable(span, injected, given, limit)
    token = enter(span)
    injected += late
    found = within_limit(size, 1)(b"v" * 10, injected)
    leave(token)
    assert span.facts == {}
    return found, injected


@pytest.mark.parametrize("given", [None, [], [("mine", b"1")]])
def test_headers_that_do_not_fit_are_left_out(spans: Recorded, given: Any) -> None:
    assert measured(20, given) == (size(b"v" * 10, given or []), given or [])


def test_headers_that_fit_stay(spans: Recorded) -> None:
    assert measured(22, None) == (22, [("b3", b"1234567890")])


def test_what_a_serializer_has_added_stays(spans: Recorded) -> None:
    assert measured(20, [("mine", b"1")], [("schema", b"2")])[1] == [("mine", b"1"), ("schema", b"2")]


def test_other_lists_are_measured_only(spans: Recorded) -> None:
    headers = [("a", b"b")]
    assert within_limit(size, 1)(b"v", headers=headers) == 3


@pytest.mark.parametrize(
    ("value", "key", "given", "good"),
    [
        (b"v" * 900_000, None, None, True),
        (b"v" * (1_000_000 - 36), None, None, False),
        ("\N{GRINNING FACE}" * 249_990, None, None, False),
        ("\N{GRINNING FACE}" * 200_000, None, None, True),
        (None, "k" * 999_964, None, False),
        (b"v", None, [("large", b"h" * 999_950)], False),
        (b"v", None, {"large": b"h" * 900_000}, True),
        (object(), None, None, True),
    ],
)
def test_what_fits_librdkafkas_limit(value: Any, key: Any, given: Any, good: bool) -> None:
    ours = {"traceparent": b"t" * 55}
    injected = {**given, **ours} if isinstance(given, dict) else [*(given or ()), *ours.items()]
    assert fits(1_000_000, value, key, given, injected) is good
