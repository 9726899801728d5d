"""Interleaved rounds: every agent in every round, in turning order. Differences are taken within a round."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import NamedTuple

from benchmarks.agents import Agent
from benchmarks.environment import Environment
from benchmarks.measures import Benchmark, Figures
from benchmarks.spawn import Failed

Results = dict[tuple[str, str], list[Figures]]
"""(benchmark, agent) -> the figures of each round."""


class Added(NamedTuple):
    """Medians. `spread`: half of the range that holds the middle half of the rounds' differences."""

    bare: float
    traced: float
    added: float
    spread: float
    ratio: float


def interleaved(
    benchmarks: dict[str, Benchmark],
    agents: Sequence[Agent],
    environment: Environment,
    rounds: int,
    scale: float,
    tell: Callable[[str], object] = lambda text: print(text, end="", file=sys.stderr, flush=True),
) -> Results:
    results: Results = {}
    for name, benchmark in benchmarks.items():
        benchmark.prepare(environment)
        for agent in agents:
            if agent.name == "bare" or agent.autotrace or agent.name in benchmark.others:
                results[name, agent.name] = []
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}:")
        for name, benchmark in benchmarks.items():
            tell(f" {name}")
            turned = [*agents[number % len(agents) :], *agents[: number % len(agents)]]
            for agent in turned:
                if (name, agent.name) in results:
                    try:
                        results[name, agent.name].append(benchmark.measure(agent, environment, scale))
                    except Failed as failure:
                        # The table is published: no folder of this machine.
                        why = re.sub(r"/\S*/site-packages/", "", str(failure).strip().splitlines()[-1])
                        environment.note(f"{name} under {agent.name} is left out: the program fails: {why}")
                        del results[name, agent.name]
        tell("\n")
    return results


def added(results: Results, benchmark: str, figure: str, agent: str, base: str = "bare") -> Added | None:
    """What `agent` adds to a figure of `base`; None if one of them was not measured."""
    rounds = zip(results.get((benchmark, base), ()), results.get((benchmark, agent), ()), strict=False)
    pairs = [(without[figure], traced[figure]) for without, traced in rounds]
    if not pairs:
        return None
    bare, traced = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    differences = [pair[1] - pair[0] for pair in pairs]
    low, _, high = quantiles(differences, method="inclusive") if len(pairs) > 1 else differences * 3
    return Added(bare, traced, median(differences), (high - low) / 2, traced / bare if bare > 0 else float("inf"))


def verdict(value: float, must: float | None, aim: float | None) -> str:
    if must is None or aim is None:
        return ""
    return "aim" if value <= aim else "must" if value <= must else "MISSED"
