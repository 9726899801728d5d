"""python -m benchmarks [NAMES…]: measure, print the table, name the budgets that are not met.

The exit code is 0 however slow the agent is.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

from benchmarks import agents, report
from benchmarks.budgets import BENCHMARKS
from benchmarks.environment import Environment
from benchmarks.measures import ROOT
from benchmarks.rounds import interleaved
from test_services.cache import Unavailable


def main(words: list[str] | None = None) -> int:
    options = parser().parse_args(words)
    chosen = {name: BENCHMARKS[name] for name in (options.names or BENCHMARKS)}
    try:
        others = [_agent(word) for word in options.against]
    except Unavailable as reason:
        print(f"benchmarks: {reason}", file=sys.stderr)
        return 1
    # Beside another checkout this one is found in the same way, or the way would be measured, too.
    this = agents.checkout(ROOT, "autotrace") if any(agent.autotrace for agent in others) else agents.autotrace()
    load = os.getloadavg()[0]
    with Environment({need for benchmark in chosen.values() for need in benchmark.needs}) as environment:
        can = {name: it for name, it in chosen.items() if not environment.missing.intersection(it.needs)}
        results = interleaved(can, [agents.BARE, this, *others], environment, options.rounds, options.scale)
        pinned = environment.pinned
    table = report.rows(results, others)
    conditions = _conditions(options.rounds, load, pinned)
    problems = environment.notes + [f"not met: {line}" for line in report.missed(results)]
    print("\n".join([report.text(table), "", *conditions, *problems]))
    if options.markdown:
        lines = [report.markdown(table), "", *(f"- {line}" for line in conditions + problems)]
        document = options.markdown.read_text() if options.markdown.exists() else ""
        options.markdown.write_text(report.put_into(document, "\n".join(lines)))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("names", nargs="*", metavar="NAME", help="of " + ", ".join(BENCHMARKS), type=_name)
    made.add_argument("--rounds", type=int, default=15, help="of each benchmark under each agent (%(default)s)")
    made.add_argument("--scale", type=float, default=1.0, help="of the operations in a round (%(default)s)")
    theirs = f"other agents, of {', '.join(agents.OTHERS)}; or the folder of another checkout of autotrace"
    made.add_argument("--against", type=_others, action="extend", default=[], metavar="NAME|PATH[,…]", help=theirs)
    made.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too, between its markers")
    return made


def _name(word: str) -> str:
    if word not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{word!r} is not a benchmark")
    return word


def _others(words: str) -> list[str]:
    for word in words.split(","):
        if word not in agents.OTHERS and not Path(word, "bootstrap", "sitecustomize.py").exists():
            known = ", ".join(agents.OTHERS)
            raise argparse.ArgumentTypeError(
                f"{word!r} is none of the other agents ({known}), and no checkout of autotrace"
            )
    return words.split(",")


def _agent(word: str) -> agents.Agent:
    return agents.other(word) if word in agents.OTHERS else agents.checkout(Path(word).resolve(), word)


def _conditions(rounds: int, load: float, pinned: bool) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in agents.libraries().items())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cores = f"{os.cpu_count()} cores, measured processes {'pinned to one' if pinned else 'not pinned'}"
    return [
        f"{python}, {platform.system()} {platform.machine()}, {cores}",
        f"load average before {load:.2f}, after {os.getloadavg()[0]:.2f}; medians of {rounds} interleaved rounds",
        versions,
    ]


if __name__ == "__main__":
    sys.exit(main())
