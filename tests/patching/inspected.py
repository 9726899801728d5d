"""A program: applies the patches of each installed package, and says where inspect sees another function than without
them.

One line of JSON a package: [package, functions compared, [[name of the function, what differs], …]].
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from autotrace.patching import MARK
from tests.patching.undone import apply_all, imported, packages

KINDS = (
    inspect.isgeneratorfunction,
    inspect.iscoroutinefunction,
    inspect.isasyncgenfunction,
)
NAMES = ("__name__", "__qualname__", "__doc__")
OF_PYTHON = ("__module__", "__annotations__", "__defaults__", "__kwdefaults__")
"""Attributes that functions in C lack."""


def seen(look: Callable[[Any], Any], function: Any) -> Any:
    try:
        return look(function)
    except (TypeError, ValueError) as error:
        return type(error).__name__


def view(function: Any) -> dict[str, Any]:
    """All that inspect and a function's attributes say of it."""
    found = {kind.__name__: kind(function) for kind in KINDS}
    found.update((name, getattr(function, name, None)) for name in NAMES)
    found["signature"] = seen(inspect.signature, function)
    if inspect.isfunction(function):
        found.update((name, getattr(function, name)) for name in OF_PYTHON)
        found["getfullargspec"] = seen(inspect.getfullargspec, function)
    return found


def replaced(package: str) -> Iterator[tuple[str, Any, Any]]:
    """(name, replacement, original) of every replaced function in the modules and classes of a package."""
    met = set()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == package:
            kinds = [value for value in vars(module).values() if isinstance(value, type)]
            for owner in (module, *kinds):
                for key, value in list(vars(owner).items()):
                    try:
                        original = vars(value).get(MARK)
                    except (TypeError, RuntimeError):  # without attributes; a proxy of nothing
                        continue
                    if original is not None and id(value) not in met:
                        met.add(id(value))
                        yield f"{getattr(owner, '__qualname__', name)}.{key}", value, original


def main() -> None:
    for package, rows in packages().items():
        patches = imported(rows)
        if patches:
            apply_all(patches)
            found = list(replaced(package))
            differing = []
            for name, replacement, original in found:
                ours, theirs = view(replacement), view(original)
                differing += [[name, key] for key in theirs if ours.get(key) != theirs[key]]
            print(json.dumps([package, len(found), differing]), flush=True)


if __name__ == "__main__":
    main()
