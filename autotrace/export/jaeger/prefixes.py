"""A bounded table from a tag's key to the bytes that begin such a tag, filled as keys come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1000
"""Keys. Ours are some eighty; a program that makes keys up as it goes does not fill the memory."""


class Prefixes(dict[str, bytes]):
    def __init__(self, make: Callable[[bytes], bytes]) -> None:
        """`make` gets the key as UTF-8."""
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> bytes:
        if len(self) >= MOST:
            self.clear()
        made = self[key] = self._make(str(key).encode("utf-8", "replace"))
        return made
