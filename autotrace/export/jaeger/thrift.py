"""The shared part of thrift_binary and thrift_compact: Jaeger's constants, and the table of bytes that begin a tag.

Their function `tag` is written out in each of them, because it runs some thirty times for every span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from autotrace.export.tag_value import TagValue

    class Thrift(Protocol):
        """The functions of thrift_binary and thrift_compact."""

        def tag(self, key: str, value: TagValue) -> bytes: ...
        def span(
            self,
            trace_id: int,
            span_id: int,
            parent_id: int,
            operation: bytes,
            flags: int,
            start: int,
            duration: int,
            references: Sequence[tuple[int, int, int]],
            tag_count: int,
            tags: Sequence[bytes],
            logs: Sequence[tuple[int, Sequence[bytes]]],
        ) -> bytes: ...
        def process(self, service: str, tags: Sequence[bytes]) -> bytes: ...
        def batch(self, process: bytes, spans: Sequence[bytes]) -> bytes: ...
        def message(self, process: bytes, spans: Sequence[bytes]) -> bytes: ...


STRING, DOUBLE, BOOL, LONG, BINARY = range(5)
"""Jaeger's TagType."""
MASK = (1 << 64) - 1

MOST_KEYS = 1000
"""The agent has some eighty keys. A program that invents keys all the time must not fill the memory."""


class Prefixes(dict[str, bytes]):
    """A tag's key -> the bytes that begin a tag of this key and one type. Filled as keys come, emptied when full."""

    def __init__(self, make: Callable[[bytes], bytes]) -> None:
        """`make` gets the key as UTF-8."""
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> bytes:
        if len(self) >= MOST_KEYS:
            self.clear()
        prefix = self[key] = self._make(str(key).encode("utf-8", "replace"))
        return prefix
