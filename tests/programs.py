"""Small programs run as a user would run them: under `autotrace-run`, with the folder on PYTHONPATH, or bare."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
BOOTSTRAP = ROOT / "bootstrap"
RUNNER = Path(sysconfig.get_path("scripts")) / "autotrace-run"


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without the settings of any tracer or of Python, plus `variables`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AUTOTRACE_", "OTEL_", "JAEGER_", "PYTHON"))
    }
    return {**kept, **variables}


Done = subprocess.CompletedProcess[str]


def bare(*command: str, cwd: Path | None = None, **variables: str) -> Done:
    return _run(command, cwd, environment(**variables))


def traced(*command: str, cwd: Path | None = None, **variables: str) -> Done:
    """Under autotrace-run."""
    return _run((str(RUNNER), *command), cwd, environment(**{"AUTOTRACE_EXPORTER": "none", **variables}))


def on_path(*command: str, cwd: Path | None = None, **variables: str) -> Done:
    """With the bootstrap folder alone on PYTHONPATH."""
    path = os.pathsep.join(filter(None, (str(BOOTSTRAP), variables.pop("PYTHONPATH", ""))))
    return _run(command, cwd, environment(**{"AUTOTRACE_EXPORTER": "none", "PYTHONPATH": path, **variables}))


def python(program: str) -> tuple[str, str, str]:
    return sys.executable, "-c", program


def _run(command: tuple[str, ...], cwd: Path | None, environ: dict[str, str]) -> Done:
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120)
