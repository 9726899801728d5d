"""C classes that the program has imported before us: subclasses of ours take their place, whoever has them. Proxies nothing.

Limit: what keeps such a class elsewhere than under a name of a module (a container, a default argument, a local variable) goes on
having the library's own: what it makes is untraced, and to isinstance() no instance of what the name means now.
"""

from __future__ import annotations

import gc
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autotrace.containment import say
from autotrace.patching import Plan, Unpatchable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Aside:
    """An attribute of objects that have no room for one: kept beside them. None where it was never set.

    A class that has it has `forget` for its `__del__` too, without which what was kept stays.
    """

    def __init__(self) -> None:
        self.kept: dict[int, Any] = {}

    def __get__(self, thing: Any, kind: type | None = None) -> Any:
        return self if thing is None else self.kept.get(id(thing))

    def __set__(self, thing: Any, value: Any) -> None:
        self.kept[id(thing)] = value

    def __delete__(self, thing: Any) -> None:
        self.kept.pop(id(thing), None)

    def finalizer(self) -> Any:
        def __del__(thing: Any) -> None:
            self.kept.pop(id(thing), None)

        return __del__


def take_places(places: Mapping[type, type], plan: Plan, library: str) -> None:
    """`places`: a library's class -> the subclass of it that is to stand for it, which adds no slots.

    It gets every name that a module has for the class, and becomes the base of what the program derived from it: what was an instance or a
    subclass of the name is one still. Raises Unpatchable where the class has instances: nothing makes them instances of another.
    """
    alive = set(map(id, map(type, gc.get_objects())))
    for kind in places:
        if id(kind) in alive:
            reason = f"a {kind.__name__} was made before autotrace was activated"
            _tell(f"{library} is left alone: {reason}")
            raise Unpatchable(reason)
    for module, name, ours in list(_names(places)):
        plan.value(module, name, ours)
    plan.value(_Heirs(places, library), "ours", True)


def _names(places: Mapping[type, type]) -> Iterator[tuple[ModuleType, str, type]]:
    by_id = {id(kind): ours for kind, ours in places.items()}
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):
            names: dict[str, Any] = object.__getattribute__(module, "__dict__")  # loads none that is lazy
            for name, value in names.copy().items():
                ours = by_id.get(id(value))
                if ours is not None:
                    yield module, name, ours


class _Heirs:
    """The classes derived from a library's, as an owner that a Plan can change: `ours` says whose heirs they are."""

    places: Mapping[type, type]
    library: str
    ours: bool

    def __init__(self, places: Mapping[type, type], library: str) -> None:
        self.__dict__.update(places=places, library=library, ours=False)

    def __setattr__(self, name: str, value: Any) -> None:
        moved: list[tuple[type, tuple[type, ...]]] = []
        try:
            for kind, ours in self.places.items():
                old, new = (kind, ours) if value else (ours, kind)
                heirs: list[type] = type.__subclasses__(old)
                for heir in heirs:
                    if heir is not new:
                        before = heir.__bases__
                        _rebase(heir, tuple(new if base is old else base for base in before))
                        moved.append((heir, before))
        except Exception as failure:
            for heir, before in reversed(moved):
                _rebase(heir, before)
            _tell(f"{self.library}, imported before autotrace was activated, is left alone: {failure}")
            raise
        self.__dict__[name] = value
        if value:
            _tell(
                f"{self.library} was imported before autotrace was activated: it is traced from now on; "
                "clients that exist already, and classes kept elsewhere than under a module's name, are not"
            )


_told: set[str] = set()


def _tell(text: str) -> None:
    """Once: a module that is there already may be met twice."""
    if text not in _told:
        _told.add(text)
        say(text)


def _rebase(heir: type, bases: tuple[type, ...]) -> None:
    type.__setattr__(heir, "__bases__", bases)
