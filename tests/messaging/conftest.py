"""The spans of fake consumers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autotrace import containment
from autotrace.messaging import carry, consumer_span
from autotrace.messaging.recent_records import RecentRecords
from tests.messaging.fake_consumer import ADAPTER, Record
from tests.recorded import Recorded, record


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.setitem(carry.adapters, Record, ADAPTER)
    monkeypatch.setattr(consumer_span, "recent_records", RecentRecords(1024))
    containment.failures.clear()
    with record() as found:
        yield found
    assert containment.failures == {}
