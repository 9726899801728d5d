"""Packages of exact versions, each set in a cache folder of its own, for the PYTHONPATH of a subprocess. Nothing they stand on comes along."""

from __future__ import annotations

import sys
from pathlib import Path

from test_services.cache import obtain
from test_services.processes import run_to_end


def installed(*requirements: str, compiled: bool = True) -> Path:
    """The folder with `requirements` ("name==version"). `compiled`: for this Python alone. cache.Unavailable when pip cannot have it."""

    def install(scratch: Path) -> Path:
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(scratch / "library")]
        run_to_end([*pip, *requirements], seconds=300)
        return scratch / "library"

    python = (f"{sys.version_info.major}.{sys.version_info.minor}",) if compiled else ()
    return obtain("-".join((*requirements, *python)).replace("==", "-"), install)
