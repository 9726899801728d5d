"""How many bytes a span holds, roughly: what its texts take, and the average for the rest. A limit in bytes becomes one
in spans.

Few spans are weighed, because that takes longer than to queue one.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any

from autotrace.containment import reraise_interruption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.tracing.span import Span

BARE = 1000
"""Bytes of a span without texts, and of its places in lists and dicts."""
ATTRIBUTE = 100
"""Bytes of an attribute beside its text."""


class MeanWeight:
    """The mean of those that were weighed since the queue was empty."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._sum = self._count = 0

    def spans_allowed(self, span: Span, waiting: int) -> int:
        """How many spans may wait, if they are like this one and those before it."""
        if not waiting:
            self._sum = self._count = 0
        self._sum += weight(span)
        self._count += 1
        return max(1, self._most_bytes * self._count // self._sum)


def weight(span: Span) -> int:
    try:
        total = BARE + sum(map(getsizeof, span.facts.values()))
        total += getsizeof(span.given_name) + getsizeof(span.trace_state)
        if span.attributes:
            total += _held(span.attributes)
        for event in span.events or ():
            total += ATTRIBUTE + _held(event.attributes)
        for link in span.links or ():
            total += ATTRIBUTE + _held(link.attributes)
        if span.failure is not None:
            total += getsizeof(span.failure.message)
        if span.status is not None:
            total += getsizeof(span.status[1])
        return total
    except Exception:  # the program's __sizeof__ may do anything
        reraise_interruption()
        return BARE


def _held(values: Mapping[str, Any]) -> int:
    total = ATTRIBUTE * len(values) + sum(map(getsizeof, values)) + sum(map(getsizeof, values.values()))
    for value in values.values():
        kind = type(value)
        if kind is tuple or kind is dict:
            total += ATTRIBUTE * len(value) + sum(map(getsizeof, value if kind is tuple else value.values()))
    return total
