"""python -m benchmarks.child WORKLOAD COUNT: times one workload in this process and prints the microseconds as JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from benchmarks.timed import begin, timed


def main(name: str, count: int) -> None:
    workload = import_module(f"benchmarks.workloads.{name}")
    begin(workload.CALLS)
    work = workload.prepare(count)
    print(json.dumps(timed(work, count)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
