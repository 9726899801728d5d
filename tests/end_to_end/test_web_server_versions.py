"""Servers and web frameworks of two years ago pass the tests of their patches, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from test_services.web_server_versions import REQUIREMENTS, library_path

ROOT = Path(__file__).parent.parent.parent
TESTS = {
    "fastapi": ["starlette", "fastapi"],
    "aiohttp": ["aiohttp_web"],
}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_version_passes_all_tests_of_the_patch(name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(library_path(name))}
    files = [f"tests/patches/test_{library}.py" for library in TESTS.get(name, [name])]
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-q", *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-20_000:]
    summary = done.stdout.rstrip().rpartition("\n")[2]
    assert re.fullmatch(r"[1-9]\d* passed in .*", summary), summary  # none skipped, none deselected


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_process_has_the_version_that_is_meant(name: str) -> None:
    """Else the test above would prove nothing."""
    for requirement in REQUIREMENTS[name]:
        library, _, meant = requirement.partition("==")
        environment = {**os.environ, "PYTHONPATH": str(library_path(name))}
        program = f"import {library}, importlib.metadata as m; print(m.version({library!r}), {library}.__path__[0])"
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout.split() == [meant, str(library_path(name) / library)]
        assert version(library) != meant
