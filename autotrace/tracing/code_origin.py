"""Whose code is it: the program's, a library's or the standard library's? File names tell.

Limit: a program that is installed into site-packages counts as a library.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType

PROGRAM, LIBRARY, STANDARD = "program", "library", "standard library"
_STANDARD = os.path.dirname(os.__file__) + os.sep
_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep


def of_file(path: str) -> str:
    if "site-packages" in path or "dist-packages" in path:
        return LIBRARY
    return STANDARD if path.startswith((_STANDARD, "<frozen ")) else PROGRAM


def of_class(kind: type) -> str:
    """By the module that a class says it belongs to. C modules of the interpreter have no file."""
    module = sys.modules.get(kind.__module__)
    if kind.__module__.partition(".")[0] in ("autotrace", "builtins"):
        return STANDARD
    return of_file(getattr(module, "__file__", None) or "")


def of_function(function: Any) -> str:
    """By the code of a function, a method or a partial. A C function is the choice of who passes it: the program's."""
    while hasattr(function, "func"):
        function = function.func
    code: CodeType | None = getattr(getattr(function, "__func__", function), "__code__", None)
    return PROGRAM if code is None else of_file(code.co_filename)


def of_caller(thing: Any, frame: FrameType | None, between: str = _OURS) -> str:
    """Whose code starts `thing`, seen from `frame`: neither autotrace, nor methods of `thing`, nor files in `between`.

    Others who replace Thread.start() do it by functions whose first argument is the thread. They are passed over too.
    """
    while frame is not None:
        code = frame.f_code
        own = code.co_argcount and frame.f_locals.get(code.co_varnames[0]) is thing
        if not own and not code.co_filename.startswith((_OURS, between)):
            return of_file(code.co_filename)
        frame = frame.f_back
    return PROGRAM
