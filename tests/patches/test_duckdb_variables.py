"""A library that looks its caller's frame up finds the program's variables, and the program finds nothing changed."""

from __future__ import annotations

import gc
import sys
import traceback
import weakref
from typing import Any

import pytest

from autotrace.patches.duckdb import from_callers_frame

everywhere = "global"


def look(name: str, also: Any = None) -> Any:
    """As DuckDB does: in the frame it is called from, its variables first."""
    frame = sys._getframe(1)
    return {**frame.f_globals, **frame.f_locals}.get(name)


found = from_callers_frame(look)


def test_the_variables_of_a_function_are_seen_before_the_globals() -> None:
    mine = "local"
    assert (found("mine"), found("everywhere"), found("nowhere")) == (mine, "global", None)
    everywhere = "mine"
    assert found("everywhere") == everywhere


def test_parameters_and_what_an_inner_function_holds() -> None:
    outer = 1

    def inner(parameter: int) -> Any:
        return found("parameter"), found("outer"), outer

    assert inner(2) == (2, 1, 1)


def test_a_class_body_a_generator_and_a_module() -> None:
    class Body:
        mine = 5
        seen = found("mine")

    def rows() -> Any:
        mine = 6
        yield found("mine"), mine

    space: dict[str, Any] = {"found": found, "__name__": "a_program"}
    exec("mine = 7; it = found('mine')", space)
    exec("other = 8; it = found('other')", space, own := {})
    assert (Body.seen, *next(rows()), space["it"], own["it"]) == (5, 6, 6, 7, 8)
    assert set(space) == {"found", "__name__", "__builtins__", "mine", "it"}
    assert set(own) == {"other", "it"}


def test_further_out_is_not_looked() -> None:
    hidden = 1  # noqa: F841

    def inner() -> Any:
        return found("hidden")

    assert inner() is None


def test_arguments_and_results_pass_and_the_line_is_the_programs() -> None:
    def where(*args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        return args, kwargs, frame.f_code.co_filename, frame.f_lineno

    result = from_callers_frame(where)(1, two=2)
    assert result == ((1,), {"two": 2}, __file__, sys._getframe().f_lineno - 1)


def test_an_error_passes_with_no_other_behind_it() -> None:
    error = ValueError("the library's")

    def fail() -> None:
        raise error

    with pytest.raises(ValueError) as caught:
        from_callers_frame(fail)()
    assert caught.value is error and error.__context__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"


def test_a_variable_that_is_deleted_is_gone() -> None:
    class Large:
        pass

    def work() -> Any:
        large = Large()
        gone = weakref.ref(large)
        assert found("large") is large
        del large
        return gone()

    gc.disable()
    try:
        assert work() is None
    finally:
        gc.enable()


def test_an_error_that_is_kept_holds_no_copy_of_the_variables() -> None:
    class Large:
        pass

    def fail() -> None:
        raise ValueError

    def work() -> Any:
        large = Large()
        gone = weakref.ref(large)
        try:
            from_callers_frame(fail)()
        except ValueError as error:
            kept = error
        del large
        return gone() is None and kept is not None

    assert work()


def test_what_exec_has_put_beside_the_variables_stays() -> None:
    if sys.version_info >= (3, 13):
        return  # locals() is another copy each time

    def work() -> Any:
        mine = 1
        exec("beside = 5")
        found("mine")
        return locals().get("beside"), mine

    assert work() == (5, 1)


def test_the_programs_own_hold_of_its_variables_is_left_alone() -> None:
    mine = 1
    own = locals()
    found("mine")
    assert own["mine"] == mine == 1 and "<autotrace>" not in own
