"""The lines on stderr about spans that are not sent, in each state of the report."""

from __future__ import annotations

import pytest

from autotrace.export.loss_report import INHERITED, ORPHANED, OUTAGE, WORKING, LossReport

LATE = TimeoutError("no answer in time")


def test_an_outage_is_one_line_and_its_end_another(said: list[str]) -> None:
    report = LossReport(10)
    for waiting in (1, 2, 3):
        report.failed(LATE, waiting, exiting=False)
    assert report.state == OUTAGE
    report.succeeded()
    report.succeeded()
    assert report.state == WORKING
    assert said == [
        "spans cannot be sent: no answer in time; 1 wait, kept until the queue is full",
        "spans are sent again; 0 were lost",
    ]


@pytest.mark.parametrize(("lost", "line"), [(0, []), (2, ["spans are sent again; 2 were lost"])])
def test_a_child_reports_only_its_losses_of_an_outage_that_its_parent_reported(
    said: list[str], lost: int, line: list[str]
) -> None:
    parent = LossReport(10, OUTAGE)
    parent.lost = 7
    child = parent.of_child()
    assert child.state == INHERITED
    child.failed(LATE, 1, exiting=False)
    child.lost += lost
    child.succeeded()
    assert (child.state, said) == (WORKING, line)


def test_a_grandchild_inherits_the_outage_too() -> None:
    assert LossReport(10, OUTAGE).of_child().of_child().state == INHERITED
    assert LossReport(10).of_child().of_child().state == WORKING


def test_a_report_that_was_copied_into_a_child_says_nothing(said: list[str]) -> None:
    report = LossReport(10)
    report.of_child()
    report.lost = 3
    report.failed(LATE, 1, exiting=True)
    report.succeeded()
    assert (report.state, said) == (ORPHANED, [])
