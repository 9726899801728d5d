"""What inspect shows of a function, by name: a replacement and its original must look alike in each view."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from autotrace.patching import MARK


def _defaults(function: Any) -> Any:
    return function.__defaults__, function.__kwdefaults__, function.__annotations__


def _names(function: Any) -> Any:
    return function.__name__, function.__qualname__, function.__module__, function.__doc__


VIEWS: dict[str, Callable[[Any], Any]] = {
    "getfullargspec": inspect.getfullargspec,
    "signature": inspect.signature,
    "iscoroutinefunction": inspect.iscoroutinefunction,
    "isgeneratorfunction": inspect.isgeneratorfunction,
    "isasyncgenfunction": inspect.isasyncgenfunction,
    "isfunction": inspect.isfunction,
    "getsource": inspect.getsource,
    "getmodule": inspect.getmodule,
    "defaults": _defaults,
    "names": _names,
}


def differing(view: str, functions: Iterable[Any]) -> list[tuple[str, Any, Any]]:
    """(name, what the view shows, what it shows of the original) of each replacement that does not look alike."""
    look = VIEWS[view]
    return [
        (function.__qualname__, look(function), look(getattr(function, MARK)))
        for function in functions
        if look(function) != look(getattr(function, MARK))
    ]
