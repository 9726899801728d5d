"""Real subclasses of a library's classes, C ones too, that show themselves as what they stand for. Proxies nothing, caches nothing."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from autotrace.patching import require

if TYPE_CHECKING:
    from collections.abc import Callable


def shown_as(name: str, bases: tuple[type, ...], space: dict[str, Any]) -> type:
    """A class that shows itself as the first of `bases`. Nothing is added to its instances but what `space["__slots__"]` says."""
    asked = bases[0]
    like = {"__module__": asked.__module__, "__qualname__": asked.__qualname__, "__doc__": asked.__doc__}
    made: type = type(asked)(name, bases, {"__slots__": (), **like, **space})
    return made


def subclass(kind: type, makers: dict[str, Callable[[Any], Any]], slots: tuple[str, ...] = ()) -> type:
    """`kind`, a library's class, with methods made of its own by make(original). Raises Unpatchable where one is missing."""
    space: dict[str, Any] = {"__slots__": slots}
    for name, make in makers.items():
        original = require(kind, name)
        space[name] = update_wrapper(make(original), original)
    return shown_as(kind.__name__, (kind,), space)


def joined(asked: Any, ours: type) -> Any:
    """What to make instead of what was asked for: one of `ours`, a subclass() of a library's class.

    A class derived from ours stays itself, and so do functions. A class derived from the library's own gets a subclass, made once,
    in which ours comes last but for the library's: its own methods, and their super(), work as before.
    """
    library = ours.__base__
    if not isinstance(asked, type) or library is None or issubclass(asked, ours) or not issubclass(asked, library):
        return asked
    if asked is library:
        return ours
    # Looked up among the living subclasses: a cache of ours would keep classes alive that the program makes by the dozen.
    for known in type.__subclasses__(asked):
        if known.__bases__ == (asked, ours):
            return known
    return shown_as(asked.__name__, (asked, ours), {})
