"""Contained errors are printed once per place, always counted, never raised."""

from __future__ import annotations

import sys

import pytest

from autotrace import containment


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "failures", {})


def fail(place: str, text: str = "x") -> None:
    try:
        raise KeyError(text)
    except KeyError:
        containment.contained(place)


def test_the_first_error_of_a_place_is_printed_and_each_is_counted(capfd: pytest.CaptureFixture[str]) -> None:
    for text in "abc":
        fail("here", text)
    fail("there")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "internal error in here: KeyError: 'a'" in lines[0]
    assert containment.failures == {"here": (3, "KeyError: 'a'"), "there": (1, "KeyError: 'x'")}


def test_debug_shows_the_traceback(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "verbose", True)
    fail("here")
    assert "Traceback" in capfd.readouterr().err


def test_off_is_silent_and_still_counts(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "silent", True)
    fail("here")
    assert capfd.readouterr().err == ""
    assert containment.failures["here"][0] == 1


@pytest.mark.parametrize("name", ["stderr", "__stderr__"])
def test_a_missing_stderr_is_no_failure(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, name, None)
    fail("here")


def test_a_closed_stderr_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("os.write", closed)
    fail("here")


def test_a_line_is_one_line_cut_and_without_control_characters(capfd: pytest.CaptureFixture[str]) -> None:
    containment.say("evil\x1b[2J\nsecond\r\x9b31m é \ud800" + "x" * 100_000)
    containment.say("y" * containment.LONGEST_LINE)
    first, second = capfd.readouterr().err.splitlines()
    assert first.startswith("autotrace: evil?[2J?second??31m é ?xxx") and first.endswith("x...")
    assert len(first) == len(second) == len("autotrace: ") + containment.LONGEST_LINE
    assert second.endswith("yyyy")


def test_what_stands_in_sys_stderr_for_a_while_is_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    containment.say("not for you")
    assert capsys.readouterr().err == ""


def test_an_error_whose_text_cannot_be_made_is_contained_too() -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    try:
        raise Nasty
    except Nasty:
        containment.contained("here")
