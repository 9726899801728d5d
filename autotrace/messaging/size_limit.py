"""A record that fits its producer's limit only without trace headers is sent without them. Knows no library.

A client measures a record when it has serialized it, which is after the headers were injected. So they are taken out
again there. Limit: what the broker refuses is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing.current import SPAN_KEY, get
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.span import Span

PLACE = "the size of a record"


_REMOVABLE = "removable"
"""The fact that a producer span has until its record was measured: no convention knows it."""


def removable(span: Span, injected: Any, given: Any, limit: int) -> None:
    """Note that within_limit() may replace `injected`, a list of ours, by the headers that the program has given."""
    span.facts[_REMOVABLE] = [injected, len(injected), given, limit]


def within_limit(original: Callable[..., int], position: int) -> Callable[..., int]:
    """A client's function that measures a record. `position`: of its parameter `headers`, the list that will be sent.

    The program gets the size of its own record if the trace headers make it too large.
    """

    def measure(*args: Any, **kwargs: Any) -> int:
        size = original(*args, **kwargs)
        try:
            facts = getattr(get().get(SPAN_KEY), "facts", None)
            noted = facts.pop(_REMOVABLE, None) if type(facts) is dict else None
            if noted is None:
                return size
            injected, count, given, limit = noted
            if size <= limit or injected is not argument(args, kwargs, position, "headers"):
                return size
            injected[:count] = given or ()  # a serializer may have added headers of its own
        except Exception:
            contained(PLACE)
            return size
        return original(*args, **kwargs)

    return measure


_ROOM = 20_000
"""Bytes: more than trace headers and baggage take."""
_OVERHEAD, _HEADER_OVERHEAD = 36, 10
"""Bytes: what librdkafka adds to a message, and at the most to each of its headers."""


def fits(limit: int, value: Any, key: Any, given: Any, injected: Any) -> bool:
    """Does a message fit librdkafka's limit with the headers `injected`, in place of those that were `given`?"""
    if given is None and (_length(value) + _length(key)) * 4 < limit - _ROOM:  # also if each character takes 4 bytes
        return True
    size = _OVERHEAD + _bytes(value) + _bytes(key)
    for header in injected.items() if isinstance(injected, dict) else injected:
        size += _HEADER_OVERHEAD + sum(map(_bytes, header)) if isinstance(header, tuple) else 0  # else refused
    return size <= limit


def _length(data: Any) -> int:
    return len(data) if isinstance(data, (bytes, str)) else 0


def _bytes(data: Any) -> int:
    """Anything but bytes and text is refused by the client, whatever its size."""
    return len(data.encode("utf-8", "replace")) if isinstance(data, str) and not data.isascii() else _length(data)
