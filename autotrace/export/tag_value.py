"""Any value of a tag as one of Jaeger's five types: str, bool, int of 64 bits, float, bytes. Never raises."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
UNREADABLE = "(its text cannot be read)"

TagValue = str | bool | int | float | bytes


def to_tag_value(value: Any) -> TagValue:
    """The value itself if it has one of the five types.

    A larger int becomes text, and so does a float that is not finite. A collection becomes JSON.
    """
    kind = type(value)
    if kind is str or kind is bool or (kind is int and LOWEST <= value <= HIGHEST):
        return value  # type: ignore[no-any-return]
    try:
        return _converted(value)
    except Exception:  # the program's __str__ may do anything
        return UNREADABLE


def _converted(value: Any) -> TagValue:
    if isinstance(value, str):
        return str.__str__(value)  # a subclass (an enum) may print another text
    if isinstance(value, int):
        return int(value) if LOWEST <= value <= HIGHEST else _large(value)
    if isinstance(value, float):
        # JSON has no NaN, and Jaeger cannot show a trace that has one.
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (Sequence, Set, Mapping)):
        return _json(value)
    return str(value)


def _large(value: int) -> str:
    try:
        return str(int(value))
    except ValueError:  # Python refuses to write that many decimal digits
        return hex(value)


def _json(value: Any) -> str:
    if isinstance(value, Set):
        value = list(value)
    try:
        return json.dumps(value, ensure_ascii=False, default=_inner)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _inner(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, (Sequence, Set)):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else str(value)


def shorten(value: TagValue, most: int) -> TagValue:
    """A text (as UTF-8) or bytes of at most `most` bytes. A text that was cut ends in `...`. Other values stay."""
    if isinstance(value, str):
        raw = value.encode("utf-8", "replace")
        return value if len(raw) <= most else raw[: most - 3].decode("utf-8", "ignore") + "..."
    return value[:most] if isinstance(value, bytes) else value
