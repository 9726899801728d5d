"""One measured child process: its output, the CPU that the kernel counted, when it ended. Only the program
runs in it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    output: str
    stderr: str
    cpu_ms: float
    at: float
    """time.monotonic() of its end"""


class Failed(RuntimeError):
    """The program did not end with 0; the message holds what it wrote."""


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Ended:
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=errors)
        assert child.stdout is not None
        output = child.stdout.read().decode()
        child.stdout.close()
        _, status, used = os.wait4(child.pid, 0)
        at = time.monotonic()
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    if child.returncode:
        raise Failed(f"{' '.join(command)} ended with {child.returncode}:\n{text}")
    return Ended(output, text, (used.ru_utime + used.ru_stime) * 1000, at)
