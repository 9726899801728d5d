"""C classes that refuse setattr(), as owners a Plan can change: what is set goes into the class's own dictionary. CPython only.

The refusal keeps programs from changing such a class by accident; methods are looked up in its dictionary like any other class's.
So its objects stay what they are, with no stand-in. Limits: methods that the class itself defines, and no slots (`__iter__`, `__call__`).
"""

from __future__ import annotations

import gc
from typing import Any


class Changeable:
    """`kind`, a class, as Plan takes an owner. Setting raises what goes wrong, before anything is changed."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type) -> None:
        object.__setattr__(self, "_kind", kind)

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        """What vars() answers."""
        return vars(self._kind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    def __setattr__(self, name: str, value: Any) -> None:
        import ctypes

        kind = self._kind
        forget = ctypes.pythonapi.PyType_Modified
        (space,) = gc.get_referents(vars(kind))
        if type(space) is not dict or name not in space:
            raise TypeError(f"{kind.__qualname__} has no {name} of its own")
        space[name] = value
        # CPython remembers what it has found, for every class and name.
        forget(ctypes.py_object(kind))
