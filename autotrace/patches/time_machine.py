"""time-machine changes the C code of `time`, which our own copy shares: while it travels, our clock asks its escape
hatch.

Nothing of the program's or of time-machine's is replaced.
"""

from __future__ import annotations

import sys
from typing import Any

from autotrace.patching import Plan, require
from autotrace.tracing import clock


def travel(module: Any, plan: Plan) -> None:
    hatch = require(module, "escape_hatch")
    travelling, real = require(hatch, "is_travelling"), require(require(hatch, "time"), "time_ns")
    shown = clock.time_ns

    def time_ns() -> int:
        now: int = real() if travelling() else shown()
        return now

    ours = [one for name, one in list(sys.modules.items()) if name.startswith("autotrace.")]
    for one in ours:
        for name in [name for name, value in vars(one).items() if value is shown]:
            plan.value(one, name, time_ns)
