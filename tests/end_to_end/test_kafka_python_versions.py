"""Every kafka-python in use passes the tests of its patch: one code for all versions, by features and not by number.

Each runs in a process of its own, against one broker of Kafka 3.9, which still speaks with the oldest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test_services.kafka_python_versions import REQUIREMENTS, library_path

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/patches/test_kafka*.py"))
"""What a version has not (transactions before 2.2) is not collected there."""
ONLY_BELOW_3_12 = ("2.0.2", "ng")
VERSIONS = [version for version in REQUIREMENTS if version not in ONLY_BELOW_3_12 or sys.version_info < (3, 12)]


@pytest.fixture(scope="module")
def runs(kafka3: Any) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All versions side by side: their tests mostly wait for the broker."""
    started = {version: _start(version, kafka3.bootstrap_servers) for version in VERSIONS}
    yield started
    for run in started.values():
        run.kill()
        run.wait()


def _start(version: str, broker: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(library_path(version)), "KAFKA_BOOTSTRAP_SERVERS": broker}
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-q", *FILES]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_passes_all_tests_of_the_patch(version: str, runs: dict[str, subprocess.Popen[str]]) -> None:
    output, _ = runs[version].communicate(timeout=900)
    summary = output.rstrip().rpartition("\n")[2]
    assert runs[version].returncode == 0, output[-20_000:]
    assert re.fullmatch(r"[1-9]\d* passed in .*", summary), summary  # none skipped, none deselected


@pytest.mark.parametrize("version", VERSIONS)
def test_the_process_has_the_version_that_is_meant(version: str) -> None:
    """Else the test above would prove nothing."""
    environment = {**os.environ, "PYTHONPATH": str(library_path(version))}
    program = "import kafka; print(kafka.__version__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == REQUIREMENTS[version].rpartition("=")[2]
