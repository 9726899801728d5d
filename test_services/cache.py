"""The cache of downloads and builds, outside the checkout; and the rule for a service that cannot be had.

Limits: nothing is ever evicted (delete the folder to start anew). The lock is flock, so the folder must be on a local
disk.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from test_services.progress import announced

#: What this process did without, one line each; the test suite prints them at its end.
missing: list[str] = []

CACHE, REQUIRE_REAL = "TEST_SERVICES_CACHE", "TEST_SERVICES_REQUIRE_REAL"
# CI says AUTOTRACE_REQUIRE_REAL. Programs under test inherit the environment and would report an unknown setting.
if "AUTOTRACE_REQUIRE_REAL" in os.environ:
    os.environ[REQUIRE_REAL] = os.environ.pop("AUTOTRACE_REQUIRE_REAL")


class Unavailable(RuntimeError):
    """A service cannot be had or does not start; the message says why and what would help."""


def folder() -> Path:
    """TEST_SERVICES_CACHE, else autotrace under XDG_CACHE_HOME, else ~/.cache/autotrace. It need not exist yet."""
    chosen = os.environ.get(CACHE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "autotrace"


def obtain(name: str, make: Callable[[Path], Path], how: str) -> Path:
    """The cached path of `name`, made on first use. `how` is announced: "downloading from Maven Central".

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
            scratch_folder = tempfile.TemporaryDirectory(dir=folder(), prefix=f".{name}-")
            with announced(f"{how}: {name}, once, into {folder()}"), scratch_folder as scratch:
                make(Path(scratch)).rename(wanted)
    return wanted


def print_paths(names: Iterable[str], path: Callable[[str], object]) -> None:
    """For `python -m`: a line NAME=PATH for each. Exit code 1, and the reason, if one cannot be had."""
    try:
        for name in names:
            print(f"{name}={path(name)}", flush=True)
    except Unavailable as reason:
        raise SystemExit(str(reason)) from None


def require_real(service: str, reason: object, instead: str) -> None:
    """Say loudly on stderr that `service` is not the real one; with AUTOTRACE_REQUIRE_REAL=1 raise Unavailable.

    `instead` says what happens now ("librdkafka's mock cluster is used", "its tests are skipped").
    """
    line = f"{service} cannot be had, {instead}: {reason}"
    missing.append(line)
    print(f"\n!!! NOT REAL: {line}\n", file=sys.stderr, flush=True)
    if os.environ.get(REQUIRE_REAL) == "1":
        raise Unavailable(f"{line} (AUTOTRACE_REQUIRE_REAL=1)")
