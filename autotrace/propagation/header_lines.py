"""Headers of HTTP as lines that servers take, however much baggage came. Limit: the sum of all lines is not
known here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .context import Headers

MAX_LINE = 8000
"""Characters of a header's value. Apache, gunicorn, nginx and aiohttp refuse a line of more than about 8190 bytes."""


def lines(name: str, value: str) -> Headers:
    """The header as one line; `baggage` as up to three, spelled differently so that a dict holds them all.

    A tracestate loses its last members, which are the oldest. Any other value that no line can hold is left out.
    """
    if len(value) <= MAX_LINE:
        return [(name, value)]
    if name not in ("baggage", "tracestate"):
        return []
    parts: list[str] = []
    for member in value.split(","):
        if parts and len(parts[-1]) + 1 + len(member) <= MAX_LINE:
            parts[-1] += f",{member}"
        elif len(member) <= MAX_LINE:
            parts.append(member)
    if name == "tracestate":
        del parts[1:]
    return list(zip((name, name.capitalize(), name.upper()), parts, strict=False))
