"""Failure: the exception that left a span, as plain text and numbers."""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

from autotrace.containment import reraise_interruption

FRAMES = 32
"""Frames of a traceback that are kept, the outermost ones."""


class Failure(NamedTuple):
    """An exception that left a span. Frames are (file, line, function), because it holds the program's objects."""

    time: int
    """ns since the epoch"""
    type: str
    message: str
    frames: tuple[tuple[str, int, str], ...]


def type_name(kind: type) -> str:
    """`module.Class`, of a builtin only `Class`: OpenTelemetry's exception.type and error.type."""
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def failure_of(error: BaseException, time_: int | None = None) -> Failure:
    """`error` as a Failure. It is read at once, because it must not be kept. `time_`: without one, now."""
    frames: list[tuple[str, int, str]] = []
    trace_ = error.__traceback__
    while trace_ is not None and len(frames) < FRAMES:
        code = trace_.tb_frame.f_code
        frames.append((sys.intern(code.co_filename), trace_.tb_lineno, code.co_name))
        trace_ = trace_.tb_next
    try:
        message = str(error)
    except Exception:  # the program's own __str__ may raise
        reraise_interruption()
        message = "(its text cannot be read)"
    return Failure(time_ or time.time_ns(), type_name(type(error)), message, tuple(frames))
