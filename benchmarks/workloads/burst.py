"""python -m benchmarks.workloads.burst COUNT RATE: that many spans, RATE of them a second (0: flat out); prints JSON.

`grown`: the most that was resident, less what was resident before the first span. The exporter was imported before it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable

from benchmarks.timed import flusher
from benchmarks.workloads.span import one_span

STEP = 0.005
"""Seconds between two small crowds of spans, when paced."""
WARM = 100


def main(count: int, rate: int) -> None:
    once, flush = one_span(), flusher()
    for _ in range(WARM):
        once()
    flush()
    gc.collect()
    before, cpu = resident("VmRSS"), time.process_time()
    if rate:
        paced(once, count, rate)
    else:
        for _ in range(count):
            once()
    flush()
    cpu = time.process_time() - cpu
    print(json.dumps({"cpu": cpu / count * 1e6, "grown": resident("VmHWM") - before}))


def paced(once: Callable[[], object], count: int, rate: int) -> None:
    """Never faster than `rate`: time in which the machine let others run is not made good."""
    most = max(1, int(rate * STEP * 2))
    begun, done = time.monotonic(), 0
    while done < count:
        time.sleep(STEP)
        now = time.monotonic()
        due = int((now - begun) * rate) - done
        if due > most:
            begun, due = now - (done + most) / rate, most
        for _ in range(min(due, count - done)):
            once()
        done += due


def resident(name: str) -> float:
    """MiB: VmRSS now, VmHWM at most. From /proc, because ru_maxrss counts the parent before exec, too."""
    with open("/proc/self/status") as book:
        return next(int(line.split()[1]) for line in book if line.startswith(name + ":")) / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
