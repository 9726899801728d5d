"""Calls that see the program's variables: for libraries that look their caller's frame up (DuckDB takes tables from it). Knows no library.

Our frames would hide the program's. So the call is made from a frame that has its globals, a copy of its locals, its file and its line.
Limit: a library that searches further out finds our frames between that one and the program's.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_NAME = "<autotrace>"
"""What the copy holds the call by: no name of a variable."""
_CALL = compile("call()", "<autotrace>", "eval").replace(co_names=(_NAME,))
_OPTIMIZED = 1
"""The flag of functions' code: their variables are no dictionary, f_locals makes one."""
_KEPT = sys.version_info < (3, 13)
"""That dictionary is kept in the frame, and so are the values in it, even if the program deletes its variables."""


def seen(original: Callable[..., Any]) -> Callable[..., Any]:
    """`original`, called as if by the next frame that is not ours."""

    def call(*args: Any, **kwargs: Any) -> Any:
        frame = _program()
        if frame is None:
            return original(*args, **kwargs)
        code = _CALL.replace(co_filename=frame.f_code.co_filename, co_firstlineno=frame.f_lineno or 1)
        space = {**_variables(frame), _NAME: partial(original, *args, **kwargs)}
        try:
            return eval(code, frame.f_globals, space)
        finally:
            space.clear()

    return call


def _program() -> FrameType | None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("autotrace."):
        frame = frame.f_back
    return frame


def _variables(frame: FrameType) -> dict[str, Any]:
    space, code = frame.f_locals, frame.f_code
    if not code.co_flags & _OPTIMIZED:
        return {} if space is frame.f_globals else dict(space)
    found = dict(space)
    if _KEPT and sys.getrefcount(space) <= 3:  # the frame's, ours and the question's: the program has no hold of it
        for name in found.keys() & {*code.co_varnames, *code.co_cellvars, *code.co_freevars}:
            space.pop(name, None)
    return found
