"""Clocks that no tool which freezes time reaches: freezegun and mocks replace the functions of `time`, wherever they
find them.

A second copy of the C module has functions of its own. Limit: time-machine and libfaketime change the C code that both
copies call.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def _own_copy() -> Any:
    """The interpreter makes a module object for whoever asks; this one stands in no table of modules."""
    try:
        import _imp

        copy = _imp.create_builtin(time.__spec__)
        _imp.exec_builtin(copy)
        copy.monotonic()
        return copy
    except Exception:  # another implementation of Python, or a `time` that is not built in
        return time


_time = _own_copy()
time_ns: Callable[[], int] = _time.time_ns
monotonic: Callable[[], float] = _time.monotonic
sleep: Callable[[float], None] = _time.sleep
"""For native threads only: gevent's stands in `time`."""
