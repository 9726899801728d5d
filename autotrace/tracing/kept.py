"""What a span keeps of a value that the program gives it: texts are cut, and so are lists and dicts of them.

The queue may hold spans for long. Limit: an object of another type is kept as it is, and becomes text at export.
"""

from __future__ import annotations

from typing import Any

from autotrace.settings import in_force

limit = in_force().attribute_limit
"""Characters of one value."""
message_limit = min(limit, 8192)
"""Characters of an exception's message. Some quote what was sent."""
_DEEPEST = 4


def kept(value: Any, depth: int = 0) -> Any:
    kind = type(value)
    if kind is str or kind is bytes:
        return value if len(value) <= limit else value[:limit]
    if kind is int or kind is bool or kind is float or depth == _DEEPEST:
        return value
    if kind is list or kind is tuple:
        return tuple(_within_limit(value, depth + 1))
    if isinstance(value, str):
        return str.__str__(value)[:limit]
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value[:limit])
    return kept_items(value, depth + 1) if kind is dict else value


def kept_items(values: Any, depth: int = 0) -> dict[Any, Any]:
    """Keys stay as they are: they come from the program's source."""
    items = dict(values or {})
    for key, value in items.items():
        kind = type(value)
        if kind is not int and (kind is not str or len(value) > limit):
            items[key] = kept(value, depth)
    return items


def _within_limit(values: Any, depth: int) -> list[Any]:
    """The first ones, as long as they are not longer than one text may be."""
    found = []
    room = limit
    for value in values:
        one = kept(value, depth)
        room -= len(one) if type(one) is str or type(one) is bytes else 1
        if room < 0:
            break
        found.append(one)
    return found
