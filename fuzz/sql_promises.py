"""The promises of autotrace.sql, checked of a statement that a fuzzer's bytes make. Counts steps, never time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace import containment, sql
from autotrace.sql.dialects import DIALECTS as CUTTERS
from autotrace.sql.dialects import GENERIC
from fuzz.sql_statements import DIALECTS, SECRET, SECRET_NUMBER, Choices, statement

if TYPE_CHECKING:
    from types import FrameType

LIMITS = (sql.LIMIT, 100, 0, 3, 40, 500)
LINES_PER_CHARACTER = 80
"""Of Python, run to read a statement: 44 at most were seen, for a character that is a token of its own."""
LINES_BESIDE = 2_000
TRACED = 500
"""Characters of a text whose lines are counted: tracing is slow."""
LONG = 40_000
"""Characters that a short text is repeated to: what is quadratic runs into libFuzzer's time-out there."""


def check(data: bytes) -> None:
    """AssertionError if a promise is broken. The first byte picks the dialect, the second how the rest is used."""
    choices = Choices(data)
    dialect, way = choices.one(DIALECTS), choices.number(4)
    mask, limit = bool(choices.number(8)), LIMITS[choices.number(len(LIMITS))]
    if way == 3:
        text = data[choices.position :].decode("utf-8", "surrogateescape")
        if choices.number(16) == 15:
            text *= max(LONG // (len(text) + 1), 1)
        linear(text, dialect)
        read(text, dialect, mask, limit)
        return
    text = statement(choices, dialect)
    found = read(text, dialect, mask, limit)
    if mask:
        shown = f"{found.operation}\n{found.table}\n{found.summary}\n{found.text}"
        assert SECRET not in shown and SECRET_NUMBER not in shown, (dialect, text, found)
    if way == 2 and choices.number(4) == 0:
        linear(text, dialect)


def read(text: str, dialect: str, mask: bool, limit: int) -> sql.Statement:
    """describe() without a failure, within its limits, and the same of bytes as of str."""
    before = dict(containment.failures)
    found = sql.describe(text, dialect, mask=mask, limit=limit)
    assert containment.failures == before, (dialect, text)
    assert len(found.text) <= limit and len(found.summary) <= sql.SUMMARY_LIMIT, (dialect, text, found)
    f"{found.operation}{found.text}".encode()
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return found
    for kind in (bytes, bytearray):
        again = sql.describe(kind(raw), dialect, mask=mask, limit=limit)
        assert repr(again) == repr(found), (dialect, text, found, again)
    return found


def linear(text: str, dialect: str) -> None:
    """Tokens do not overlap; and the lines of Python run for all of `text` are a multiple of its length at most."""
    position = 0
    for _, token, _, end in CUTTERS.get(dialect, GENERIC).tokens(text):
        assert token and end - len(token) >= position, (dialect, text, token)
        position = end
    assert position <= len(text)
    if len(text) <= TRACED:
        lines = lines_run(text, dialect)
        assert lines <= LINES_BESIDE + LINES_PER_CHARACTER * len(text), (dialect, text, lines)


def lines_run(text: str, dialect: str) -> int:
    """How many lines of autotrace.sql run to read `text` whole, past the cache."""
    lines = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        sql._read(text, dialect, True, len(text))
    finally:
        sys.settrace(before)
    return lines
