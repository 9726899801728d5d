"""Colours where somebody looks, plain text where a file or a pipe is; lines of at most 100 columns."""

from __future__ import annotations

import os
import sys

WIDTH = 100
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    return f"\033[{_CODES[colour]}m{text}\033[0m" if text and coloured() else text


def fitted(text: str, width: int) -> str:
    """Exactly `width` columns, cut with an ellipsis where it is longer."""
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
