"""Batches to exporters that fail in every way: which spans are kept, lost, sent again, and what stderr says."""

from __future__ import annotations

import importlib
import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from autotrace.export.loss_report import LossReport
from autotrace.export.sender import BATCH_SIZE, Sender
from autotrace.settings import EXPORTERS, TABLE, Settings
from autotrace.tracing.span import Span
from tests.export.scripted import Make, Scripted, span


def test_a_batch_that_nobody_took_is_kept_and_sent_later(make: Make, said: list[str]) -> None:
    exporter = Scripted(ConnectionRefusedError("http://x: refused"), TimeoutError("http://x: late"))
    queue = make(exporter)
    queue.sink(span(1))
    assert not queue.flush(20)
    queue.sink(span(2))
    assert not queue.flush(20)
    assert queue.flush(20)
    assert exporter.ids == [1, 2]
    assert said == [
        "spans cannot be sent: http://x: refused; 1 wait, kept until the queue is full",
        "spans are sent again; 0 were lost",
    ]


def test_a_recovery_reports_how_many_spans_were_lost(make: Make, said: list[str]) -> None:
    exporter = Scripted(ConnectionRefusedError("refused"))
    queue = make(exporter, queue_size=10)
    queue.sink(span(0))
    assert not queue.flush(20)
    for number in range(1, 15):
        queue.sink(span(number))
    assert queue.flush(20)
    assert exporter.ids == list(range(11))
    assert said[1:] == ["spans are sent again; 4 were lost"]


def test_an_unanswered_collector_is_asked_ever_more_rarely_however_busy_the_program(make: Make) -> None:
    exporter = Scripted(*[ConnectionRefusedError("refused")] * 1000)
    queue = make(exporter, queue_size=20, flush_seconds=0.02)
    started = time.monotonic()
    while time.monotonic() < started + 1:
        queue.sink(span(1))
        time.sleep(0.0005)
    # Pauses of 0.04, 0.08, 0.16, 0.32, … s; without them there would be fifty attempts.
    assert 2 <= exporter.attempts <= 10


def test_only_the_spans_that_the_exporter_left_in_a_batch_are_sent_again(make: Make) -> None:
    exporter = Scripted()

    def partly(spans: list[Span], resource: Any, deadline: float) -> None:
        exporter.export(spans[:2], resource, deadline)
        del spans[:2]
        if spans:
            raise TimeoutError("late")

    queue = make(SimpleNamespace(export=partly, close=exporter.close))
    for number in range(5):
        queue.sink(span(number))
    assert [queue.flush(20) for _ in range(3)] == [False, False, True]
    assert exporter.ids == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "failure",
    [ValueError("bad\nlines"), KeyError(), RecursionError("deep"), MemoryError(), SystemExit(1), GeneratorExit()],
)
def test_a_refused_batch_is_lost_and_the_next_ones_go(make: Make, said: list[str], failure: BaseException) -> None:
    exporter = Scripted(failure)
    queue = make(exporter, queue_size=4096)
    for number in range(BATCH_SIZE + 1):
        queue.sink(span(number))
    assert not queue.flush(20)
    assert exporter.ids == [BATCH_SIZE]
    assert queue.report.lost == BATCH_SIZE
    assert len(said) == 2 and "\n" not in said[0] and said[1] == f"spans are sent again; {BATCH_SIZE} were lost"
    queue.sink(span(7))
    assert queue.flush(20)
    assert exporter.ids == [BATCH_SIZE, 7]


def test_an_exporter_that_cannot_be_made_is_reported_once(make: Make, said: list[str]) -> None:
    def unmade(settings: object) -> object:
        raise ImportError("no module named x")

    queue = make(unmade)
    for number in range(3):
        queue.sink(span(number))
        assert not queue.flush(20)
    assert said == ["the exporter 'jaeger' cannot be used: no module named x; spans are dropped"]
    assert queue.report.lost == 3


def test_every_exporter_of_the_settings_has_its_module() -> None:
    row = next(row for row in TABLE if row.attribute == "exporter")
    for name, module in EXPORTERS.items():
        assert row.kind(name) == name
        assert name == "none" or callable(importlib.import_module(module).make)
    with pytest.raises(ValueError) as allowed:
        row.kind("?")
    assert set(str(allowed.value).removeprefix("write one of ").split(", ")) == set(EXPORTERS)


def test_a_sender_without_anything_to_send_makes_no_exporter() -> None:
    sender = Sender(Settings({}), LossReport(10))
    assert sender.drain(deque()) is True
    assert sender._exporter is None
