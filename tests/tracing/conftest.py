"""The spans that end during a test, with autotrace's provider in OpenTelemetry's API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace

from autotrace.tracing import new_span, tracer
from tests.recorded import Recorded, record


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracer.provider)
    for name in ("decide", "parent_based", "trace_id_bits"):
        monkeypatch.setattr(new_span, name, getattr(new_span, name))
    with record() as recorded:
        yield recorded
