"""A consumer that never ends does not grow. A process of its own takes many records and counts its memory and objects.

A million: `python -m tests.messaging.endless_consumer for 1000000`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNT = 150_000


@pytest.mark.parametrize("way", ["for", "next", "lists", "dropping", "tasks"])
def test_memory_does_not_grow_with_the_records(way: str) -> None:
    command = [sys.executable, "-m", "tests.messaging.endless_consumer", way, str(COUNT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    growth = json.loads(done.stdout)
    assert growth["spans"] == COUNT
    assert growth["objects"] < 200  # tracked by the collector; a hundred are the interpreter's own ups and downs
    assert growth["kib"] < 1024  # a record that stayed would cost a hundred times as much
