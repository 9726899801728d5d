"""One round of a benchmark: a child process under an agent, and the figures that it gives.

One small class for each kind.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Protocol

from benchmarks import agents
from benchmarks.agents import Agent
from benchmarks.environment import PROCFS, Environment
from benchmarks.spawn import Ended, run

ROOT = Path(__file__).parent.parent
ANYWHERE = Path(tempfile.gettempdir())
Figures = dict[str, float]
LEAST = 50
"""Bytes of a span that is sent; with fewer to an operation it is not traced."""


class Benchmark(Protocol):
    """`needs`: names of services. `others`: the other agents that can do it too."""

    needs: tuple[str, ...]
    others: Collection[str]

    def prepare(self, environment: Environment) -> None: ...
    def measure(self, agent: Agent, environment: Environment, scale: float) -> Figures: ...


class Kind:
    needs: tuple[str, ...] = ()
    others: Collection[str] = agents.OTHERS

    def prepare(self, environment: Environment) -> None:
        """Once, before the first round."""


class Operation(Kind):
    """A workload timed from within: `process` and `thread`, µs an operation. `sampler`: of autotrace."""

    def __init__(
        self, workload: str, *, sends: bool = True, sampler: str = "", others: Collection[str] = agents.OTHERS
    ) -> None:
        self.workload, self.sends, self.sampler, self.others = workload, sends, sampler, others
        self.module = import_module(f"benchmarks.workloads.{workload}")
        self.needs = self.module.NEEDS

    def prepare(self, environment: Environment) -> None:
        if hasattr(self.module, "fill"):
            self.module.fill(environment.addresses)

    def measure(self, agent: Agent, environment: Environment, scale: float) -> Figures:
        count = max(1, int(self.module.COUNT * scale))
        if agent.autotrace and self.sampler:
            agent = agent.set(AUTOTRACE_SAMPLER=self.sampler)
        before = environment.sink.bytes_posted()
        ended = _module(agent, environment, "benchmarks.child", self.workload, str(count))
        figures: Figures = json.loads(ended.output)
        figures["export"] = figures["process"] - figures["thread"]
        sent = (environment.sink.bytes_posted() - before) / count
        figures["traced"] = not self.sends or agent.name == "bare" or sent >= LEAST
        if not figures["traced"]:
            means = f"{agent.name} sent {sent:.0f} bytes an operation: NOT TRACED, its figures mean nothing"
            environment.note(f"{self.workload}: {means}")
        _heed(ended, environment, self.workload)
        return figures


class Process(Kind):
    """A whole process: `cpu`, ms, by the kernel's account."""

    def __init__(self, program: str) -> None:
        self.program = program

    def measure(self, agent: Agent, environment: Environment, scale: float) -> Figures:
        ended = run([sys.executable, "-c", self.program], agent.environment(environment.sink.url), ANYWHERE)
        _heed(ended, environment, self.program)
        return {"cpu": ended.cpu_ms}


class Memory(Kind):
    """`memory`, MiB: the most that `python -c pass` has resident, told by the process itself."""

    needs: tuple[str, ...] = (PROCFS,)

    def measure(self, agent: Agent, environment: Environment, scale: float) -> Figures:
        program = "print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"
        ended = run([sys.executable, "-c", program], agent.environment(environment.sink.url), ANYWHERE)
        return {"memory": int(ended.output) / 1024}


class Runner(Kind):
    """`cpu`, ms: `autotrace-run true`: the runner until its exec, and next to nothing afterwards.

    Bare: `python -c pass`.
    """

    others: Collection[str] = ()

    def measure(self, agent: Agent, environment: Environment, scale: float) -> Figures:
        runner = [str(Path(sys.executable).with_name("autotrace-run")), "true"]
        command = [sys.executable, "-c", "pass"] if agent.name == "bare" else runner
        # The runner imports autotrace: of another checkout only with that on its path.
        path = Agent("runner", agent.path[1:])
        return {"cpu": run(command, path.environment(""), ANYWHERE).cpu_ms}


class Exit(Kind):
    """`seconds` from a program's last line until its process ends, with one span to send and no collector
    that answers.
    """

    program = """import sqlite3, time
from benchmarks.timed import begin
begin(True)
sqlite3.connect(':memory:').cursor().execute('SELECT 1')
print(time.monotonic(), flush=True)"""

    def __init__(self, how: str) -> None:
        self.how = how

    def measure(self, agent: Agent, environment: Environment, scale: float) -> Figures:
        variables = agent.environment(environment.nobody[self.how])
        ended = run([sys.executable, "-c", self.program], variables, ROOT)
        return {"seconds": ended.at - float(ended.output)}


class Burst(Kind):
    """200,000 spans: `cpu` µs a span, `grown` MiB, `lost` spans."""

    needs: tuple[str, ...] = (PROCFS,)
    others: Collection[str] = ()
    count = 200_000

    def __init__(self, rate: int = 0) -> None:
        self.rate = rate

    def measure(self, agent: Agent, environment: Environment, scale: float) -> Figures:
        from benchmarks.workloads.burst import WARM

        count = int(self.count * scale)
        if agent.autotrace:
            agent = agent.set(AUTOTRACE_ENDPOINT="{sink}/kept/api/traces")
        environment.sink.spans_kept()
        ended = _module(agent, environment, "benchmarks.workloads.burst", str(count), str(self.rate))
        figures: Figures = json.loads(ended.output)
        figures["lost"] = 0 if agent.name == "bare" else count + WARM - environment.sink.spans_kept()
        return figures


def _module(agent: Agent, environment: Environment, *command: str) -> Ended:
    variables = agent.environment(environment.sink.url, **environment.addresses)
    return run([sys.executable, "-m", *command], variables, ROOT)


def _heed(ended: Ended, environment: Environment, what: str) -> None:
    """An agent that complains is not measured, it is broken."""
    if ended.stderr.strip():
        environment.note(f"{what}: {ended.stderr.strip().splitlines()[-1][:200]}")
