"""How many bytes a span holds, roughly: what its texts take, and the average for the rest. A limit in bytes becomes one in spans.

Only every 16th span is weighed, because that takes longer than to queue one.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.tracing.span import Span

EVERY = 16
"""A power of two. That many spans are queued for one that is weighed."""
BARE = 1000
"""Bytes of a span without texts, and of its places in lists and dicts."""
ATTRIBUTE = 100
"""Bytes of an attribute beside its text."""


class MeanWeight:
    """The mean of those that were weighed since the queue was empty."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._sum = self._count = 0

    def forget(self) -> None:
        self._sum = self._count = 0

    def spans_allowed(self, span: Span) -> int:
        """How many spans may wait, if they are like this one and those before it. At least one that is not weighed."""
        self._sum += weight(span)
        self._count += 1
        return max(EVERY, self._most_bytes * self._count // self._sum)


def weight(span: Span) -> int:
    total = BARE + _texts(span.facts)
    if span.attributes:
        total += _texts(span.attributes)
    for event in span.events or ():
        total += ATTRIBUTE + _texts(event.attributes)
    for link in span.links or ():
        total += ATTRIBUTE + _texts(link.attributes)
    if span.failure is not None:
        total += getsizeof(span.failure.message)
    return total


def _texts(values: Mapping[str, Any]) -> int:
    total = 0
    for value in values.values():
        kind = type(value)
        if kind is str or kind is bytes:
            total += getsizeof(value)
        elif kind is tuple:
            total += ATTRIBUTE + sum(map(getsizeof, value))
    return total + ATTRIBUTE * len(values)
