"""aiokafka of two years ago passes the tests of its patch, in a process of its own: by features and not by number."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from test_services.aiokafka_versions import REQUIREMENTS, library_path

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("version", REQUIREMENTS)
def test_a_version_passes_all_tests_of_the_patch(version: str, kafka: Any) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(library_path(version)),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
    }
    version_command = [sys.executable, "-c", "import aiokafka; print(aiokafka.__version__)"]
    assert subprocess.check_output(version_command, env=environment, text=True).startswith(
        version
    )  # else this would prove nothing
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-q", "tests/patches/test_aiokafka.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    summary = done.stdout.rstrip().rpartition("\n")[2]
    assert done.returncode == 0, done.stdout[-20_000:]
    assert re.fullmatch(r"[1-9]\d* passed in .*", summary), summary  # none skipped, none deselected
