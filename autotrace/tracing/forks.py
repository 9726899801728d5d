"""What a fork asks of us, whoever forks: Python, or a program that embeds it and does not tell it (uWSGI), where a patch calls these."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_before: list[Callable[[], object]] = []
_in_child: list[Callable[[], object]] = []


def in_child(work: Callable[[], object]) -> None:
    """Do `work`, which never raises, first of all in every child."""
    _in_child.append(work)
    os.register_at_fork(after_in_child=work)


def before(work: Callable[[], object], in_parent: Callable[[], object]) -> None:
    """Do `work` before every fork, and `in_parent` after it in the parent. Neither ever raises."""
    _before.append(work)
    os.register_at_fork(before=work, after_in_parent=in_parent)


def prepare() -> None:
    """A fork is near that Python will not be told of."""
    for work in _before:
        work()


def forked() -> None:
    """This is the child of such a fork. Harmless where Python was told after all."""
    for work in _in_child:
        work()
