"""C classes that the program has imported before us: subclasses of ours take their place, whoever has them. Proxies nothing.

Limit: a class kept where neither a module's name leads nor `_keeper` looks (an attribute of an object, a container in a container, a local
variable) goes on meaning the library's own: what it makes is untraced, and to isinstance() no instance of what the name means now.
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from itertools import compress
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from autotrace.containment import say
from autotrace.patching import Plan, Unpatchable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


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
    subclass of the name is one still. Raises Unpatchable where that cannot be: the class has instances, which nothing makes instances of
    another, or the program keeps it to make some.
    """
    keeper = _keeper(places)
    if keeper is not None:
        reason = f"{keeper} before autotrace was activated"
        _tell(f"{library} is left alone: {reason}")
        raise Unpatchable(reason)
    for module, name, ours in list(_names(places)):
        plan.value(module, name, ours)
    plan.value(_Heirs(places, library), "ours", True)


def _keeper(places: Mapping[type, type]) -> str | None:
    """What makes, or is, an object of one of these classes: as one line without an end. None where there is no such thing.

    Annotations are none, and neither are the bases of a class.
    """
    names = {id(kind): kind.__name__ for kind in places}
    things = gc.get_objects()
    kinds = list(map(type, things))  # of a million objects, in C
    telling = {
        which
        for which, kind in dict(zip(map(id, kinds), kinds, strict=True)).items()
        if which in names or issubclass(kind, _KEEPERS)
    }
    for thing in compress(things, map(telling.__contains__, map(id, kinds))):
        kind = type(thing)
        if id(kind) in names:
            return f"a {kind.__name__} was made"
        for kept in _kept(thing, kind):
            if id(kept) in names:
                return f"{_path(thing)} had {names[id(kept)]} (an attribute, an argument, a container's content)"
    return None


_KEEPERS = (FunctionType, partial, type, ModuleType)


def _kept(thing: Any, kind: type) -> Iterable[Any]:
    """`kind`: its type; isinstance() would ask the object itself, which wakes a lazy module."""
    if issubclass(kind, FunctionType):
        return (*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values())
    if issubclass(kind, partial):
        return (thing.func, *thing.args, *thing.keywords.values())
    if issubclass(kind, type):
        return list(type.__getattribute__(thing, "__dict__").values())
    names = object.__getattribute__(thing, "__dict__").copy()  # of a module; loads none that is lazy
    names.pop("__annotations__", None)
    return [kept for value in names.values() for kept in _content(value)]


def _content(value: Any) -> Iterable[Any]:
    if type(value) is dict:
        return [*value, *value.values()]
    return list(value) if type(value) in (list, tuple, set, frozenset) else ()


def _path(thing: Any) -> str:
    if isinstance(thing, partial):
        return "a functools.partial"
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", "?")
    return f"{module}.{name}" if module else str(name)


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
                "clients that exist already are not, nor what is made of a class kept elsewhere than under a module's name"
            )


_told: set[str] = set()


def _tell(text: str) -> None:
    """Once: a module that is there already may be met twice."""
    if text not in _told:
        _told.add(text)
        say(text)


def _rebase(heir: type, bases: tuple[type, ...]) -> None:
    type.__setattr__(heir, "__bases__", bases)
