"""Plan: what a patch replaces in a library. Applied whole or not at all, undone as a whole. Signatures stay."""

from __future__ import annotations

from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any

from autotrace.containment import reraise_interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MISSING: Any = object()
MARK = "__autotrace_original__"


class Unpatchable(Exception):
    """The library lacks what the patch needs, as the text says. It is left as it is."""


class Plan:
    """The steps of one patch. Nothing is touched before apply(); undo() takes every step back, the last one first."""

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[[], object], Callable[[], object], str]] = []
        self._undo: list[Callable[[], object]] = []

    def step(self, do: Callable[[], object], undo: Callable[[], object], what: str = "a step") -> None:
        """Anything that is no replacement: a subscription, an entry in a table. `what` names the step if `do` raises.

        undo() runs only if do() has returned.
        """
        self._steps.append((do, undo, what))

    def method(self, owner: Any, name: str, make: Callable[[Any], Any], *, parameters: tuple[str, ...] = ()) -> None:
        """Replace `owner.name` by `make(original)`, which gets the original's name, signature and docstring.

        `parameters`: names that the original must take. C functions are not checked, because they do not show theirs.
        Raises Unpatchable. A method that is replaced already is left alone, so that patching twice is patching once.
        """
        self.function((owner,), name, make, parameters=parameters)

    def function(
        self, owners: Sequence[Any], name: str, make: Callable[[Any], Any], *, parameters: tuple[str, ...] = ()
    ) -> None:
        """method() for one function that several owners hold by the same name: all get the same replacement.

        The first owner's function is the original. Raises Unpatchable if an owner lacks the name.
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
        show_as(replacement, original)
        setattr(replacement, MARK, original)
        for owner in owners:
            self.value(owner, name, replacement)

    def value(self, owner: Any, name: str, value: Any) -> None:
        """Replace `owner.name` by `value` itself, for example by a subclass. Raises Unpatchable without such a name."""
        require(owner, name)
        replacing = _Replacing(owner, name, value)
        self.step(replacing.do, replacing.undo, f"{_path(owner)}.{name} cannot be set")

    def apply(self) -> None:
        """Do every step. The first one that fails is raised as Unpatchable, after those before it were undone."""
        for do, undo, what in self._steps:
            try:
                do()
            except BaseException as failure:
                self.undo()
                reraise_interruption()
                if not isinstance(failure, Exception):
                    raise
                raise Unpatchable(f"{what}: {failure}") from failure
            self._undo.append(undo)

    def undo(self) -> None:
        """Take every step back, the last one first. A name that somebody else has replaced since keeps their value."""
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


def show_as(replacement: Any, original: Any) -> None:
    """Let inspect see the original's name, signature and defaults in the function that replaces it.

    getfullargspec() and the attributes do not follow `__wrapped__`, signature() does.
    """
    update_wrapper(replacement, original)
    if type(original) is not FunctionType or type(replacement) is not FunctionType:
        return
    replacement.__defaults__, replacement.__kwdefaults__ = original.__defaults__, original.__kwdefaults__
    if not hasattr(original, "__wrapped__"):
        from inspect import signature  # OpenTelemetry's API has imported it

        replacement.__signature__ = signature(original)  # type: ignore[attr-defined]


def require(owner: Any, *names: str) -> Any:
    """The value of the last of `names`. Raises Unpatchable if `owner` lacks one of them."""
    found = None
    for name in names:
        found = getattr(owner, name, _MISSING)
        if found is _MISSING:
            raise Unpatchable(f"{_path(owner)} has no {name}")
    return found


def _show_parameters_of(original: Any, replacement: Any) -> None:
    """What inspect.getfullargspec() and the attributes say, which do not follow `__wrapped__` as signature() does."""
    if type(original) is not FunctionType or type(replacement) is not FunctionType:
        return
    replacement.__defaults__, replacement.__kwdefaults__ = original.__defaults__, original.__kwdefaults__
    if not hasattr(original, "__wrapped__"):
        from inspect import signature  # loaded long since, by OpenTelemetry's API

        replacement.__signature__ = signature(original)  # type: ignore[attr-defined]


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
