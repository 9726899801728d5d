"""Subclasses of a library's classes, C ones too, that show themselves as the library's own. No proxies, no cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.patching import Unpatchable, require, show_as

if TYPE_CHECKING:
    from collections.abc import Callable


def require_class(owner: Any, name: str) -> type:
    """require(), for a class."""
    found = require(owner, name)
    if not isinstance(found, type):
        raise Unpatchable(f"{name} is not a class")
    return found


def shown_as(name: str, bases: tuple[type, ...], space: dict[str, Any]) -> type:
    """A class that shows itself as the first of `bases`. Its instances get the attributes of `space["__slots__"]`."""
    first = bases[0]
    like = {"__module__": first.__module__, "__qualname__": first.__qualname__, "__doc__": first.__doc__}
    kind: type = type(first)(name, bases, {"__slots__": (), **like, **space})
    return kind


def subclass(kind: type, makers: dict[str, Callable[[Any], Any]], slots: tuple[str, ...] = ()) -> type:
    """A subclass of `kind`, a library's class.

    makers: name of a method of `kind` -> make(original), the subclass's method. Raises Unpatchable if `kind` lacks one
    of the methods.
    """
    space: dict[str, Any] = {"__slots__": slots}
    for name, make in makers.items():
        original = require(kind, name)
        space[name] = make(original)
        show_as(space[name], original)
        if not hasattr(original, "__module__"):
            space[name].__module__ = kind.__module__  # pickle finds a C method by its class, and ours by its module
    return shown_as(kind.__name__, (kind,), space)


def traced_class(kind: Any, ours: type) -> Any:
    """The class to make in place of `kind`, which the program asked for. ours: a subclass() of the library's class.

    A class derived from ours stays itself, and so do functions. A class derived from the library's gets a subclass,
    made once. Ours comes last in it but for the library's, so its own methods and their super() work as before.
    """
    library = ours.__base__
    if not isinstance(kind, type) or library is None or issubclass(kind, ours) or not issubclass(kind, library):
        return kind
    if kind is library:
        return ours
    # Sought among the living subclasses, because a cache would keep classes alive that a program makes by the dozen.
    for existing in type.__subclasses__(kind):
        if existing.__bases__ == (kind, ours):
            return existing
    return shown_as(kind.__name__, (kind, ours), {})
