"""What a fork asks of us, whoever forks: Python, or a program that embeds it and does not tell it (uWSGI), where a patch calls these.

gevent's patching asks the same of our thread: it must not be amid anything.
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
    """Do `work`, which never raises, first of all in every child."""
    _in_child.append(work)
    os.register_at_fork(after_in_child=work)


def before(work: Callable[[], object], in_parent: Callable[[], object], later: Callable[[], object]) -> None:
    """Do `work` before every fork, and `in_parent` after it in the parent; `later` where there was none. None ever raises."""
    _before.append(work)
    _later.append(later)
    os.register_at_fork(before=work, after_in_parent=in_parent)


def prepare() -> None:
    """A fork is near that Python will not be told of."""
    for work in _before:
        work()


def unprepare() -> None:
    """What was prepared for is over, and was no fork. Nothing is to happen before the program's next span."""
    for work in _later:
        work()


def forked() -> None:
    """This is the child of such a fork. Harmless where Python was told after all."""
    for work in _in_child:
        work()


def imported(name: str) -> Any:
    """A module that the program has imported. None, too, while another thread is at it, because names are missing in it then."""
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module
