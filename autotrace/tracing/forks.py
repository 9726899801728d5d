"""Work before and after a fork. If Python does not learn of a fork, as in uWSGI, a patch calls these functions.

gevent's patching needs the same as a fork: autotrace's thread must not be in the middle of anything.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_before: list[Callable[[], object]] = []
_later: list[Callable[[], object]] = []
_in_child: list[Callable[[], object]] = []


def in_child(work: Callable[[], object]) -> None:
    """Call `work` in every forked child, before anything else. It must not raise."""
    _in_child.append(work)
    os.register_at_fork(after_in_child=work)


def before(work: Callable[[], object], in_parent: Callable[[], object], later: Callable[[], object]) -> None:
    """Call `work` before every fork and `in_parent` after it; `later` if none followed. They must not raise."""
    _before.append(work)
    _later.append(later)
    os.register_at_fork(before=work, after_in_parent=in_parent)


def prepare() -> None:
    """Prepare for a fork that Python does not learn of."""
    for work in _before:
        work()


def unprepare() -> None:
    """No fork came after prepare(). Work resumes only with the program's next span."""
    for work in _later:
        work()


def forked() -> None:
    """Do the work of the child after such a fork. Harmless if Python has learned of the fork after all."""
    for work in _in_child:
        work()


def imported(name: str) -> Any:
    """A module that the program has imported. None, too, while another thread is at it, because names are missing in it
    then.
    """
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module
