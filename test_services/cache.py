"""Where what was downloaded or built is kept, outside the checkout; and the rule for a part that cannot be had.

Limits: nothing is ever evicted (delete the folder to start anew); the lock is flock, so the folder must be on a local
disk.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

#: What this process did without, one line each; the test suite prints them at its end.
missing: list[str] = []

CACHE, REQUIRE_REAL = "TEST_SERVICES_CACHE", "TEST_SERVICES_REQUIRE_REAL"
# CI says AUTOTRACE_REQUIRE_REAL. Programs under test inherit the environment and would report an unknown setting.
if "AUTOTRACE_REQUIRE_REAL" in os.environ:
    os.environ[REQUIRE_REAL] = os.environ.pop("AUTOTRACE_REQUIRE_REAL")


class Unavailable(RuntimeError):
    """A real part cannot be had or does not start; the message says why and what would help."""


def folder() -> Path:
    """TEST_SERVICES_CACHE, else autotrace under XDG_CACHE_HOME, else ~/.cache/autotrace. It need not exist yet."""
    chosen = os.environ.get(CACHE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "autotrace"


def obtain(name: str, make: Callable[[Path], Path]) -> Path:
    """The cached path of `name`, made on first use.

    `make(scratch)` gets an empty folder and returns the path inside it that is worth keeping; that path is renamed into
    place and the rest thrown away, so a half-made entry is never seen. Parallel runs wait for the one that makes it.
    """
    wanted = folder() / name
    if wanted.exists():
        return wanted
    folder().mkdir(parents=True, exist_ok=True)
    with open(folder() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            print(f"test_services: getting {name} into {folder()} (once)", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=folder(), prefix=f".{name}-") as scratch:
                make(Path(scratch)).rename(wanted)
    return wanted


def require_real(part: str, reason: object, instead: str) -> None:
    """Say loudly on stderr that `part` is not the real one; with AUTOTRACE_REQUIRE_REAL=1 raise Unavailable.

    `instead` says what happens now ("librdkafka's mock cluster is used", "its tests are skipped").
    """
    line = f"{part} cannot be had, {instead}: {reason}"
    missing.append(line)
    print(f"\n!!! NOT REAL: {line}\n", file=sys.stderr, flush=True)
    if os.environ.get(REQUIRE_REAL) == "1":
        raise Unavailable(f"{line} (AUTOTRACE_REQUIRE_REAL=1)")
