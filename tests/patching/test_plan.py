"""Plans: a patch is applied whole or not at all, shows the original's face, and can be taken back."""

from __future__ import annotations

import inspect
import types
from typing import Any

import pytest

from autotrace import patching


class Library:
    def send(self, topic: str, value: object = None, *, key: bytes | None = None) -> str:
        """Sends."""
        return f"{topic}:{value}"

    def other(self, **kwargs: object) -> int:
        return len(kwargs)

    constant = 3


class Sub(Library):
    pass


def loud(original: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs).upper()

    return call


def plan_for(owner: Any) -> patching.Plan:
    plan = patching.Plan()
    plan.method(owner, "send", loud, parameters=("topic", "key"))
    return plan


def test_nothing_is_touched_before_apply_and_all_of_it_after() -> None:
    class Own(Library):
        def send(self, topic: str, value: object = None, *, key: bytes | None = None) -> str:
            return topic

    before = Own.send
    plan = plan_for(Own)
    assert Own.send is before
    plan.apply()
    assert Own().send("a") == "A"
    plan.undo()
    assert Own.send is before


def test_the_replacement_shows_the_originals_face() -> None:
    plan = plan_for(Sub)
    plan.apply()
    assert inspect.signature(Sub.send) == inspect.signature(Library.send)
    assert (Sub.send.__name__, Sub.send.__doc__, Sub.send.__qualname__) == ("send", "Sends.", "Library.send")
    plan.undo()
    assert "send" not in vars(Sub)


def test_patching_twice_is_patching_once() -> None:
    first = plan_for(Sub)
    first.apply()
    plan_for(Sub).apply()
    assert Sub().send("a", 1) == "A:1"
    first.undo()
    assert Sub().send("a", 1) == "a:1"


@pytest.mark.parametrize(
    ("name", "parameters", "reason"),
    [
        ("gone", (), "Library has no gone"),
        ("send", ("headers",), "Library.send has no parameter 'headers'"),
        ("constant", (), "Library.constant is not a function"),
    ],
)
def test_a_library_without_what_is_needed_is_refused_with_the_reason(
    name: str, parameters: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(patching.Unpatchable, match=reason):
        patching.Plan().method(Library, name, loud, parameters=parameters)


def test_a_parameter_may_hide_in_kwargs() -> None:
    patching.Plan().method(Library, "other", loud, parameters=("anything",))


def test_what_fails_half_way_is_undone_whole() -> None:
    class Mine(Library):
        pass

    plan = plan_for(Mine)
    plan.value(int, "real", 1)  # a C type refuses
    with pytest.raises(patching.Unpatchable, match=r"int\.real cannot be set"):
        plan.apply()
    assert "send" not in vars(Mine)


def test_undo_leaves_what_somebody_else_put_there_since() -> None:
    class Mine(Library):
        pass

    plan = plan_for(Mine)
    plan.apply()
    theirs = lambda self, topic: "theirs"
    Mine.send = theirs  # type: ignore[assignment, method-assign]
    plan.undo()
    assert Mine.send is theirs  # type: ignore[comparison-overlap]


class TestSteps:
    def test_a_step_runs_at_apply_and_is_undone_last_first(self) -> None:
        done: list[str] = []
        plan = patching.Plan()
        plan.step(lambda: done.append("a"), lambda: done.remove("a"))
        plan.step(lambda: done.append("b"), lambda: done.append("undo b"))
        assert done == []
        plan.apply()
        assert done == ["a", "b"]
        plan.undo()
        assert done == ["b", "undo b"]

    def test_a_step_that_fails_undoes_those_before_it_and_is_named(self) -> None:
        done: list[str] = []

        def fail() -> None:
            raise OSError("no")

        plan = patching.Plan()
        plan.step(lambda: done.append("a"), lambda: done.append("undo a"))
        plan.step(fail, lambda: done.append("undo b"), "the subscription")
        with pytest.raises(patching.Unpatchable, match="the subscription: no"):
            plan.apply()
        assert done == ["a", "undo a"]


def test_a_function_that_two_modules_hold_gets_one_replacement() -> None:
    def connect() -> int:
        return 1

    inner, outer = types.SimpleNamespace(connect=connect), types.SimpleNamespace(connect=connect)
    plan = patching.Plan()
    plan.function((inner, outer), "connect", lambda original: lambda: original() + 1)
    plan.apply()
    assert inner.connect is outer.connect
    assert inner.connect() == 2
    plan.undo()
    assert inner.connect is outer.connect is connect


def test_an_owner_without_the_function_refuses_the_whole_patch() -> None:
    inner, outer = types.SimpleNamespace(connect=print), types.SimpleNamespace()
    with pytest.raises(patching.Unpatchable, match="has no connect"):
        patching.Plan().function((inner, outer), "connect", lambda original: lambda: None)
    assert inner.connect is print


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_step_that_is_interrupted_leaves_nothing_replaced(error: type[BaseException]) -> None:
    class Owner:
        one = two = 1

    def strike() -> None:
        raise error("struck")

    plan = patching.Plan()
    plan.value(Owner, "one", 2)
    plan.step(strike, lambda: None)
    with pytest.raises(patching.Unpatchable if error is ValueError else error):
        plan.apply()
    assert Owner.one == 1


def test_the_replacement_shows_the_originals_signature_and_defaults() -> None:
    class Owner:
        def method(self, a: int, b: str = "b", *rest: int, c: int = 3, **others: int) -> str:
            """Its docstring."""
            return f"{a}{b}{rest}{c}{others}"

    before, original = inspect.getfullargspec(Owner.method), Owner.method

    def replaced(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            return original(*args, **kwargs)

        return call

    plan = patching.Plan()
    plan.method(Owner, "method", replaced)
    plan.apply()
    assert inspect.getfullargspec(Owner.method) == before
    assert (Owner.method.__defaults__, Owner.method.__kwdefaults__) == (original.__defaults__, original.__kwdefaults__)
    assert inspect.signature(Owner.method) == inspect.signature(original)
    assert Owner().method(1) == "1b()3{}"
    assert Owner().method(1, "x", 2, c=4, d=5) == "1x(2,)4{'d': 5}"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        Owner().method()  # type: ignore[call-arg]
