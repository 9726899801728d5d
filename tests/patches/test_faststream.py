"""FastStream: what it hands over on ways of its own. tests/end_to_end/test_faststream.py runs a whole application."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from faststream._internal.endpoint.subscriber import usecase
from opentelemetry import trace

from autotrace.messaging import attribute_records, carry
from autotrace.messaging.consumer_span import ConsumerSpan
from autotrace.patches import faststream
from autotrace.patching import MARK, Plan
from autotrace.semantics.family import SharedFacts
from tests.recorded import Recorded, nothing_current

CONSUME = usecase.SubscriberUsecase.consume


def consumed(record: Any) -> Any:
    """The active span while a subscriber handles `record`."""
    seen = []

    async def original(self: Any, msg: Any) -> str:
        seen.append(trace.get_current_span())
        assert msg is record
        return "handled"

    assert asyncio.run(faststream._consume(original)(None, record)) == "handled"
    return seen[0]


def test_a_record_that_was_delivered_elsewhere_is_reactivated(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(carry.adapters, ConsumerRecord, attribute_records.ADAPTER)
    record = ConsumerRecord("t", 0, 1, 1_700_000_000_000, 0, None, b"v", None, 0, 1, ())
    consumer_span = ConsumerSpan(attribute_records.ADAPTER, SharedFacts({}))
    consumer_span.open(record)
    consumer_span.close()
    assert consumed(record) is spans.one()
    assert nothing_current()


@pytest.mark.parametrize("unknown", [None, (), object(), [1]], ids=["none", "batch", "object", "list"])
def test_what_is_not_known_is_handled_as_it_would(unknown: Any, spans: Recorded) -> None:
    assert consumed(unknown) is trace.INVALID_SPAN


def test_what_the_handler_raises_passes(spans: Recorded) -> None:
    async def original(self: Any, msg: Any) -> None:
        raise LookupError("no such order")

    with pytest.raises(LookupError):
        asyncio.run(faststream._consume(original)(None, object()))


def test_it_is_on_once_and_keeps_its_signature() -> None:
    assert inspect.signature(CONSUME) == inspect.signature(getattr(CONSUME, MARK))
    assert inspect.iscoroutinefunction(CONSUME)
    plan = Plan()
    faststream.subscribers(sys.modules[usecase.__name__], plan)
    plan.apply()
    assert plan._undo == []
