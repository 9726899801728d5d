"""A bounded mapping that keeps its newest entries. Any thread may use it; a race forgets a few entries early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable


class Recent:
    """Keeps between `half` and twice as many entries. The older half is forgotten at once, which is cheap."""

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
