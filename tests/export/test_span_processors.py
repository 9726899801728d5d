"""The span processors that the program added, on the way of its spans to the exporter."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from autotrace import containment
from autotrace.export import span_processors
from autotrace.tracing import tracer
from tests.export.scripted import Make, Scripted, span


def test_processors_of_the_program_get_every_span_once_even_while_nobody_takes_them(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[object] = []
    monkeypatch.setitem(
        sys.modules,
        "autotrace.export.otel.readable_span",
        SimpleNamespace(to_readable=lambda span, resource: span.span_id),
    )

    def broken(readable: object) -> None:
        raise ValueError("the program's own error")

    processors = [SimpleNamespace(on_end=broken), SimpleNamespace(on_end=got.append)]
    monkeypatch.setattr(tracer.provider, "processors", processors)
    queue = make(Scripted(TimeoutError("late"), TimeoutError("late")))
    for number in (1, 2, 3):
        queue.sink(span(number))
    while not queue.flush(20):
        pass
    assert got == [1, 2, 3]
    assert containment.failures["the span processor SimpleNamespace"][0] == 3


def test_every_processor_is_shut_down_although_one_fails(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    def broken() -> None:
        raise ValueError("the program's own error")

    closed: list[int] = []
    processors = [SimpleNamespace(shutdown=broken), SimpleNamespace(shutdown=lambda: closed.append(1))]
    monkeypatch.setattr(tracer.provider, "processors", processors)
    span_processors.shutdown()
    assert closed == [1]
    assert list(containment.failures) == ["the span processor SimpleNamespace"]
