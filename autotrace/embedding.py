"""Python embedded by uWSGI: the module `uwsgi` is made in C and passes no finder, so it is looked for when the next thing is run."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotrace.import_hook import Watcher

NAME = "uwsgi"


REFUSAL = (
    "uWSGI gives this mount an interpreter of its own, which is not traced: "
    "no thread may run there when it ends. Add `single-interpreter = true` to uWSGI's configuration"
)


def is_beside() -> bool:
    """Is this an interpreter beside uWSGI's main one?"""
    if NAME not in sys.builtin_module_names:
        return False
    interpreters: Any = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    return bool(interpreters.get_current() != interpreters.get_main())


def look_out(watcher: Watcher) -> None:
    """Tell `watcher` of the module once it is there."""
    if NAME not in watcher.watched:
        return
    external: Any = sys.modules["_frozen_importlib_external"]
    # Called by PyImport_ExecCodeModule(), by which uWSGI runs a file: perhaps the first thing of all.
    run = external._fix_up_module

    def look(name: str = "") -> None:
        module = sys.modules.get(NAME)
        if module is not None:
            watcher.asked = None
            external._fix_up_module = run
            watcher.imported(NAME, module)
            if watcher.asked is not None:  # the patch listens on, from this one on
                watcher.asked(name)

    def first(*args: Any, **kwargs: Any) -> Any:
        external._fix_up_module = run
        look()
        return external._fix_up_module(*args, **kwargs)

    external._fix_up_module = first
    watcher.asked = look
