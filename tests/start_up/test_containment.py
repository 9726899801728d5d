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


def test_the_first_error_of_a_place_is_printed_and_each_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    for text in "abc":
        fail("here", text)
    fail("there")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "internal error in here: KeyError: 'a'" in lines[0]
    assert containment.failures == {"here": (3, "KeyError: 'a'"), "there": (1, "KeyError: 'x'")}


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "verbose", True)
    fail("here")
    assert "Traceback" in capsys.readouterr().err


def test_off_is_silent_and_still_counts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "silent", True)
    fail("here")
    assert capsys.readouterr().err == ""
    assert containment.failures["here"][0] == 1


def test_a_missing_stderr_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    fail("here")


def test_an_error_whose_text_cannot_be_made_is_contained_too() -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    try:
        raise Nasty
    except Nasty:
        containment.contained("here")
