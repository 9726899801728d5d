"""A method of a C class that refuses setattr() is replaced for every object that exists, and put back."""

from __future__ import annotations

import array
from typing import Any

import pytest

from autotrace.patches.pyodbc import c_method
from autotrace.patching import Plan, Unpatchable


def louder(original: Any) -> Any:
    def tolist(self: Any) -> Any:
        return ["ours", *original(self)]

    return tolist


def plan(name: str = "tolist") -> Plan:
    made = Plan()
    c_method(made, array.array, name, louder)
    return made


def ask(found: array.array[int]) -> list[Any]:
    """Called often enough, the interpreter remembers where the method is."""
    return [found.tolist() for _ in range(50)][-1]


def test_it_is_refused_otherwise() -> None:
    with pytest.raises(TypeError, match="immutable type"):
        array.array.tolist = louder  # type: ignore[method-assign, assignment]


def test_objects_that_there_are_have_it_and_lose_it_again() -> None:
    found = array.array("i", [1])
    assert ask(found) == [1]
    once = plan()
    once.apply()
    try:
        assert ask(found) == found.tolist() == array.array.tolist(found) == ["ours", 1]
        assert type(found) is array.array
        assert (array.array.tolist.__name__, array.array.tolist.__doc__ or "")[0] == "tolist"
        assert plan()._steps == [], "patching twice is patching once"
    finally:
        once.undo()
    assert ask(found) == array.array.tolist(found) == [1]
    assert type(array.array.tolist).__name__ == "method_descriptor"


def test_a_method_that_is_not_its_own_is_refused_and_nothing_is_changed() -> None:
    once = Plan()
    c_method(once, array.array, "tolist", louder)
    c_method(once, array.array, "__init_subclass__", louder)
    with pytest.raises(Unpatchable, match="has no __init_subclass__ of its own"):
        once.apply()
    assert ask(array.array("i", [1])) == [1]


def test_a_method_that_is_not_there_is_refused() -> None:
    with pytest.raises(Unpatchable, match="array has no nothing"):
        plan("nothing")
