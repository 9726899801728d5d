"""A patch's own tests, in a process that imports an older version of the library. For the files test_*_versions.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.programs import ROOT


def assert_passes(folder: Path, files: tuple[str, ...]) -> None:
    """The test files `files`, below tests/ and without .py, pass with the packages in `folder`; no test is skipped."""
    paths = [f"tests/{file}.py" for file in files]
    done = _run(folder, "-W", "ignore", "-m", "pytest", "-q", *paths)
    assert done.returncode == 0, done.stdout[-20_000:]
    summary = done.stdout.rstrip().rpartition("\n")[2]
    assert re.fullmatch(r"[1-9]\d* passed in .*", summary), summary


def assert_there(folder: Path, requirements: tuple[str, ...]) -> None:
    """The process has exactly `requirements` ("name==version"), and this process has other versions.

    Otherwise assert_passes() would prove nothing.
    """
    for requirement in requirements:
        library, _, version = requirement.partition("==")
        program = f"import {library}, importlib.metadata as m; print(m.version({library!r}), {library}.__path__[0])"
        assert _run(folder, "-c", program).stdout == f"{version} {folder / library}\n"
        assert version not in [found.version for found in metadata.distributions(name=library)]


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
