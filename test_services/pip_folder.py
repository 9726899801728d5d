"""Packages that pip puts into a folder instead of the environment: sets of exact versions, in the cache."""

from __future__ import annotations

import sys
from pathlib import Path

from test_services.cache import obtain
from test_services.processes import run_to_end


def run_pip(command: str, *words: str | Path) -> None:
    """cache.Unavailable when pip fails."""
    run_to_end([sys.executable, "-m", "pip", command, "--quiet", *words], seconds=600)


def installed(*requirements: str, compiled: bool = True) -> Path:
    """The folder with `requirements` ("name==version"), for PYTHONPATH, without what they depend on.

    `compiled`: for this Python alone. cache.Unavailable when pip cannot have it.
    """

    def install(scratch: Path) -> Path:
        run_pip("install", "--no-deps", "--target", scratch / "library", *requirements)
        return scratch / "library"

    python = (f"{sys.version_info.major}.{sys.version_info.minor}",) if compiled else ()
    return obtain("-".join((*requirements, *python)).replace("==", "-"), install, "downloading with pip")
