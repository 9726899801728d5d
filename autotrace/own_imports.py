"""Modules that autotrace imports late: the standard library's, whatever lies beside the script; ours, even if
sys.modules is put back.

Limit: if the program has imported its own module under a name of the standard library, autotrace finds that one.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType
    from typing import Any

_OURS = "autotrace"
_BETWEEN = sys.stdlib_module_names | {"opentelemetry"}
"""Top-level names of modules that import on behalf of their callers."""


_kept: dict[str, ModuleType] = {}
_asked: list[str] = []
_hidden: list[str] = []


def keep_loaded() -> None:
    """Keep the modules of autotrace that are loaded. Those that follow are seen by find_spec()."""
    _kept.update((name, module) for name, module in list(sys.modules.items()) if _is_within(name, _OURS))


def find_spec(fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """Where autotrace's import of `fullname` leads. None if the import is not autotrace's, or finds the right module
    anyway.
    """
    if path is None and fullname in sys.stdlib_module_names:
        return _standard(fullname) if _imports_for_us(sys._getframe(1)) else None
    if not _is_within(fullname, _OURS):
        return None
    kept = _kept.get(fullname)
    if kept is not None:
        return _spec_of(kept, fullname)
    _asked.append(fullname)
    return None


def _standard(fullname: str) -> ModuleSpec | None:
    here = getattr(os, "__file__", None)
    if here is None or fullname in sys.builtin_module_names:
        return None
    finder: Any = sys.modules["_frozen_importlib_external"].PathFinder
    folders = [os.path.dirname(here), *(entry for entry in sys.path if entry.endswith("lib-dynload"))]
    spec: ModuleSpec | None = finder.find_spec(fullname, folders)
    if spec is not None:
        found = finder.find_spec(fullname)
        if found is not None and found.origin != spec.origin:
            _hidden.append(fullname)
    return spec


def settle() -> None:
    """Autotrace has imported what it needed: keep its modules, and leave the names of the program's files to the
    program.
    """
    while _asked:
        name = _asked.pop()
        module = sys.modules.get(name)
        if module is not None:
            _kept.setdefault(name, module)
    while _hidden:
        hidden = _hidden.pop()
        for name in [name for name in list(sys.modules) if _is_within(name, hidden)]:
            del sys.modules[name]


def _is_within(name: str, package: str) -> bool:
    return name.startswith(package) and (name == package or name[len(package)] == ".")


def _imports_for_us(frame: FrameType | None) -> bool:
    """Is autotrace the first on the stack that imports of its own accord?

    Modules import on behalf of those that import them, the standard library and OpenTelemetry's API on behalf of those
    that call them, and the import watcher on behalf of the program.
    """
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        top = name.partition(".")[0]
        if top == _OURS and name not in ("autotrace.import_hook", __name__):
            return True
        if name == "__main__" or (frame.f_code.co_name != "<module>" and top != _OURS and top not in _BETWEEN):
            return False
        frame = frame.f_back
    return False


class _Kept:
    """The loader of a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def _spec_of(module: ModuleType, fullname: str) -> ModuleSpec:
    kind: Any = sys.modules["_frozen_importlib"].ModuleSpec
    spec: ModuleSpec = kind(fullname, _Kept(module), origin=module.__file__)
    return spec


def release_dead_imports() -> None:
    """In a forked child: free the locks of modules that other threads were importing, and forget what they had not
    finished.

    The child has no such thread, so that its own import would wait for ever. Where gevent has patched, there are
    greenlets instead of threads, and they live on in the child.
    """
    bootstrap: Any = sys.modules["_frozen_importlib"]
    if bootstrap._thread.get_ident is not get_ident:
        return
    for name, reference in list(bootstrap._module_locks.items()):
        owner = getattr(reference(), "owner", None)
        if owner is not None and owner != get_ident():
            del bootstrap._module_locks[name]
            spec = getattr(sys.modules.get(name), "__spec__", None)
            if getattr(spec, "_initializing", False):
                del sys.modules[name]
