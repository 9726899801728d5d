"""A bounded memory: the newest entries of a mapping. For any thread; a race forgets a few entries early, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable


class Recent:
    """`half` to twice as many entries: the older half is forgotten at once, which costs nothing for each."""

    __slots__ = ("half", "old", "young")

    def __init__(self, half: int) -> None:
        self.half = half
        self.young: dict[Hashable, Any] = {}
        self.old: dict[Hashable, Any] = {}

    def put(self, key: Hashable, value: Any) -> None:
        young = self.young
        young[key] = value
        if len(young) >= self.half:
            self.old, self.young = young, {}

    def get(self, key: Hashable) -> Any:
        """The value, None for an unknown or forgotten key."""
        found = self.young.get(key)
        return self.old.get(key) if found is None else found
