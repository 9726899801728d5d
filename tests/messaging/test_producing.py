"""The trace context that the program has put into a record's headers itself."""

from __future__ import annotations

from typing import Any

import pytest

from autotrace.messaging.draft import Draft
from autotrace.messaging.producing import parent_in
from tests.contracts.messaging import BY_HAND
from tests.messaging.fake_consumer import SHARED
from tests.recorded import Recorded

TEXT = BY_HAND.decode()


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", BY_HAND)],
        [("traceparent", TEXT)],
        [["traceparent", BY_HAND]],
        (("TraceParent", BY_HAND),),
        {"traceparent": TEXT},
        {"traceparent": BY_HAND, "mine": None},
        [("X-B3-TraceId", b"%032x" % 7), ("X-B3-SpanId", b"%016x" % 9)],
        [("b3", "%032x-%016x-1" % (7, 9))],
        [3, (), ("a",), ("mine", object()), ("traceparent", BY_HAND)],
    ],
)
def test_every_form_that_a_client_takes_is_read(headers: Any) -> None:
    found = parent_in(headers)
    assert found is not None
    assert (found.trace_id, found.span_id) == (7, 9)


@pytest.mark.parametrize("headers", [None, [], {}, "traceparent", 3, [("traceparent", b"\xff")], [("baggage", b"a=b")]])
def test_anything_else_names_none(headers: Any) -> None:
    assert parent_in(headers) is None


def test_a_generator_is_left_for_the_client_to_refuse() -> None:
    headers = iter([("traceparent", BY_HAND)])
    assert parent_in(headers) is None
    assert next(headers)


def test_a_records_own_trace_is_kept_in_a_batch_of_another(spans: Recorded) -> None:
    draft = Draft(SHARED, True)
    first = draft.span_for([("traceparent", BY_HAND)])
    assert first is not None
    assert (first.trace_id, first.parent_id) == (7, 9)
    assert draft.span_for([("traceparent", BY_HAND)]) is first
    assert draft.span_for(None) is first
    assert draft.span_for([("traceparent", b"00-%032x-%016x-01" % (8, 9))]) is None
    assert draft.taken() is first
