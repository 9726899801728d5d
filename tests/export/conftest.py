"""A receiver of this test's own, and every convention put back as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autotrace import containment
from autotrace.semantics import span_reader
from test_services.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(params=["both", "opentracing", "otel"])
def convention(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(span_reader, "convention", request.param)
    return str(request.param)


@pytest.fixture
def nothing_contained() -> Iterator[None]:
    containment.failures.clear()
    yield
    failures = dict(containment.failures)
    containment.failures.clear()
    assert failures == {}, "autotrace failed inside and contained it"
