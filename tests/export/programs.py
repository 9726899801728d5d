"""Programs for the tests of the pipeline: a few lines, run as a process that only the bootstrap folder traces."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from test_services.processes import free_ports

ROOT = Path(__file__).parent.parent.parent

WORK = """
from opentelemetry import trace
_tracer = trace.get_tracer("program")
def work(*names):
    for name in names:
        _tracer.start_span(name).end()
"""


@dataclass
class Ended:
    code: int
    out: str
    said: list[str]
    """The lines of stderr."""


def environment(endpoint: str, **settings: object) -> dict[str, str]:
    """`settings`: exit_seconds=2 is AUTOTRACE_EXIT_SECONDS=2."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACE_", "OTEL_", "JAEGER_"))
    }
    given = {f"AUTOTRACE_{name.upper()}": str(value) for name, value in settings.items()}
    path = os.pathsep.join((str(ROOT / "bootstrap"), str(ROOT)))
    return {**clean, "AUTOTRACE_ENDPOINT": endpoint, "PYTHONPATH": path, **given}


def start(script: Path, source: str, endpoint: str, *options: str, **settings: object) -> subprocess.Popen[str]:
    script.write_text(WORK + source)
    return subprocess.Popen(
        [sys.executable, *options, str(script)],
        env=environment(endpoint, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], seconds: float = 30) -> Ended:
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Ended(process.returncode, out, err.splitlines())


def run(folder: Path, source: str, endpoint: str, *options: str, seconds: float = 30, **settings: object) -> Ended:
    """Run WORK and `source` to the end."""
    return end(start(folder / "program.py", source, endpoint, *options, **settings), seconds)


def nowhere() -> str:
    return f"http://127.0.0.1:{free_ports(1)[0]}/api/traces"
