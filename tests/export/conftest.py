"""A receiver for one test, each convention of tags, the lines on stderr, and queues that send to a given exporter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from autotrace import containment
from autotrace.export.span_queue import SpanQueue
from autotrace.semantics import span_reader
from autotrace.settings import Settings
from test_services.receiver import Receiver
from tests.export.scripted import Make


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


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(containment, "say", lines.append)
    monkeypatch.setattr(containment, "failures", {})
    return lines


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Iterator[Make]:
    made: list[SpanQueue] = []

    def make(exporter: Any, /, **settings: object) -> SpanQueue:
        home = SimpleNamespace(make=exporter if callable(exporter) else lambda settings: exporter)
        monkeypatch.setitem(sys.modules, "autotrace.export.jaeger.exporter", home)
        given = {"flush_seconds": 60, "exit_seconds": 10, **settings}
        made.append(SpanQueue(Settings({f"AUTOTRACE_{name.upper()}": str(value) for name, value in given.items()})))
        return made[-1]

    yield make
    for one in made:
        one.pause()
