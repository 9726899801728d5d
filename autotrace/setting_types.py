"""Setting: one row of settings.TABLE. Its kinds turn text into a value, or raise ValueError with the remedy."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    Source = str | tuple[str, Callable[[str], str | None]]

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


class Setting:
    """One row: the attribute of Settings, the variables in the order of reading, the kind, the default, the meaning."""

    __slots__ = ("attribute", "default", "kind", "meaning", "sources")

    def __init__(
        self,
        attribute: str,
        sources: tuple[Source, ...],
        kind: Callable[[str], object],
        default: str,
        meaning: str,
    ) -> None:
        self.attribute = attribute
        self.sources = sources
        self.kind = kind
        self.default = default
        self.meaning = meaning

    @property
    def variables(self) -> list[str]:
        return [source if isinstance(source, str) else source[0] for source in self.sources]


def text(value: str) -> str:
    return value


def flag(value: str) -> bool:
    lowered = value.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("write true or false")


def inverted(value: str) -> str:
    """For variables that say `disabled` where autotrace's says `enabled`."""
    return "false" if flag(value) else "true"


def choice(*allowed: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        lowered = value.lower()
        if lowered not in allowed:
            raise ValueError("write one of " + ", ".join(allowed))
        return lowered

    return read


def names(*allowed: str) -> Callable[[str], tuple[str, ...]]:
    """A comma-separated list; white space and empty items are dropped. `allowed`: the names it may hold, () for any."""

    def read(value: str) -> tuple[str, ...]:
        found = tuple(item.strip() for item in value.split(",") if item.strip())
        for item in found:
            if allowed and item not in allowed:
                raise ValueError(f"{item!r} is not known; write some of " + ", ".join(allowed))
        return found

    return read


def pairs(value: str) -> dict[str, str]:
    """`key=value,key=value`."""
    found = {}
    for item in value.split(","):
        if item.strip():
            key, equals, content = item.partition("=")
            if not equals or not key.strip():
                raise ValueError(f"{item.strip()!r} is not key=value")
            found[key.strip()] = content.strip()
    return found


def whole(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        try:
            result = int(value)
        except ValueError:
            result = least - 1
        if not least <= result <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return result

    return read


def number(least: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        try:
            result = float(value)
        except ValueError:
            result = least - 1
        if not least <= result < float("inf"):
            raise ValueError(f"write a number of at least {least:g}")
        return result

    return read


seconds = number(0)


def ratio(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError("a ratio is a number from 0 to 1")


def any_of(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    """A pattern that matches what one of the globs matches; None where there is none. Upper and lower case differ.

    Its modules are imported late, because a process that traces nothing needs none of them.
    """
    if not globs:
        return None
    import re
    from fnmatch import translate

    return re.compile("|".join(map(translate, globs)))
