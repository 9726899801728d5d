"""Replace methods and functions of a library: the signature stays, all of a patch or none of it, undone at will. Proxies nothing."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING: Any = object()
MARK = "__autotrace_original__"


class Unpatchable(Exception):
    """The library does not have what the patch needs; the text says what. It is left as it is."""


class Plan:
    """What one patch wants to replace. Nothing is touched before apply(); what fails there is undone."""

    def __init__(self) -> None:
        self._steps: list[tuple[Any, str, Any]] = []
        self._undo: list[tuple[Any, str, Any]] = []

    def method(self, owner: Any, name: str, make: Callable[[Any], Any], *, parameters: tuple[str, ...] = ()) -> None:
        """Replace `owner.name` by `make(original)`, which shows itself as the original.

        `parameters`: names that the original must take; asked of Python functions only (C ones do not tell).
        Raises Unpatchable. An already replaced one is left alone, so patching twice is patching once.
        """
        original = require(owner, name)
        if not callable(original):
            raise Unpatchable(f"{_path(owner)}.{name} is not a function")
        if hasattr(original, MARK):
            return
        lacking = [parameter for parameter in parameters if not _takes(original, parameter)]
        if lacking:
            raise Unpatchable(f"{_path(owner)}.{name} has no parameter {lacking[0]!r}")
        replacement = make(original)
        update_wrapper(replacement, original)
        setattr(replacement, MARK, original)
        self.value(owner, name, replacement)

    def value(self, owner: Any, name: str, value: Any) -> None:
        """Replace `owner.name` by an object of ours as it is (a subclass, say). Raises Unpatchable where there is no such name."""
        require(owner, name)
        self._steps.append((owner, name, value))

    def apply(self) -> None:
        """Do all of it, or none: the first failure undoes what was done and is raised as Unpatchable."""
        for owner, name, value in self._steps:
            before = vars(owner).get(name, _MISSING)
            try:
                setattr(owner, name, value)
            except Exception as failure:
                self.undo()
                raise Unpatchable(f"{_path(owner)}.{name} cannot be set: {failure}") from failure
            self._undo.append((owner, name, before))

    def undo(self) -> None:
        """Put back what was there, last first. What somebody else replaced since is left to them."""
        values = {(id(owner), name): value for owner, name, value in self._steps}
        while self._undo:
            owner, name, before = self._undo.pop()
            if vars(owner).get(name) is not values[id(owner), name]:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def require(owner: Any, *names: str) -> Any:
    """The last of `names`, each of which `owner` must have. Raises Unpatchable."""
    found = None
    for name in names:
        found = getattr(owner, name, _MISSING)
        if found is _MISSING:
            raise Unpatchable(f"{_path(owner)} has no {name}")
    return found


def _takes(function: Any, parameter: str) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        return True
    if code.co_flags & 0x08:  # **kwargs
        return True
    return parameter in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _path(owner: Any) -> str:
    module = getattr(owner, "__module__", None)
    name = getattr(owner, "__qualname__", None) or getattr(owner, "__name__", None) or type(owner).__name__
    return f"{module}.{name}" if module else str(name)
