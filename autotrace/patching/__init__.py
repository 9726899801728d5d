"""Replace methods and functions of a library: the signature stays, all of a patch or none of it, undone at will. Proxies nothing."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MISSING: Any = object()
MARK = "__autotrace_original__"


class Unpatchable(Exception):
    """The library does not have what the patch needs; the text says what. It is left as it is."""


class Plan:
    """What one patch wants to do. Nothing is touched before apply(); what was done is undone as a whole, last step first."""

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[[], object], Callable[[], object], str]] = []
        self._undo: list[Callable[[], object]] = []

    def step(self, do: Callable[[], object], undo: Callable[[], object], what: str = "a step") -> None:
        """Anything else that a patch does: a subscription, an entry in a table of ours. `what` names it if `do` raises.

        undo() runs only if do() has run to its end.
        """
        self._steps.append((do, undo, what))

    def method(self, owner: Any, name: str, make: Callable[[Any], Any], *, parameters: tuple[str, ...] = ()) -> None:
        """Replace `owner.name` by `make(original)`, which shows itself as the original.

        `parameters`: names that the original must take; asked of Python functions only (C ones do not tell).
        Raises Unpatchable. An already replaced one is left alone, so patching twice is patching once.
        """
        self.function((owner,), name, make, parameters=parameters)

    def function(
        self, owners: Sequence[Any], name: str, make: Callable[[Any], Any], *, parameters: tuple[str, ...] = ()
    ) -> None:
        """method() for a function that several modules (or classes) hold by the same name: each gets the same replacement.

        The first owner's is the original. Raises Unpatchable where an owner has no such name.
        """
        original = require(owners[0], name)
        if not callable(original):
            raise Unpatchable(f"{_path(owners[0])}.{name} is not a function")
        if hasattr(original, MARK):
            return
        lacking = [parameter for parameter in parameters if not _takes(original, parameter)]
        if lacking:
            raise Unpatchable(f"{_path(owners[0])}.{name} has no parameter {lacking[0]!r}")
        replacement = make(original)
        update_wrapper(replacement, original)
        setattr(replacement, MARK, original)
        for owner in owners:
            self.value(owner, name, replacement)

    def value(self, owner: Any, name: str, value: Any) -> None:
        """Replace `owner.name` by an object of ours as it is (a subclass, say). Raises Unpatchable where there is no such name."""
        require(owner, name)
        replacing = _Replacing(owner, name, value)
        self.step(replacing.do, replacing.undo, f"{_path(owner)}.{name} cannot be set")

    def apply(self) -> None:
        """Do all of it, or none: the first failure undoes what was done and is raised as Unpatchable."""
        for do, undo, what in self._steps:
            try:
                do()
            except Exception as failure:
                self.undo()
                raise Unpatchable(f"{what}: {failure}") from failure
            self._undo.append(undo)

    def undo(self) -> None:
        """Put back what was there, last first. What somebody else replaced since is left to them."""
        while self._undo:
            self._undo.pop()()


class _Replacing:
    """The step of Plan.value(): one name of one owner."""

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self.owner, self.name, self.value = owner, name, value
        self.before: Any = _MISSING

    def do(self) -> None:
        self.before = vars(self.owner).get(self.name, _MISSING)
        setattr(self.owner, self.name, self.value)

    def undo(self) -> None:
        if vars(self.owner).get(self.name) is not self.value:
            return
        if self.before is _MISSING:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.before)


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
