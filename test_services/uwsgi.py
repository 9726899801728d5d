"""The uWSGI server, published as source only: the installed program, else one built once into the cache (a minute).

Limits: it embeds one interpreter of this version; another interpreter of the same version must be built alike. It reads
no path of a virtual environment with letters outside ASCII: give it a link.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from test_services.cache import obtain, print_paths
from test_services.pip_folder import run_pip


def program() -> Path:
    """The path of `uwsgi`. cache.Unavailable where there is no C compiler, or no headers of this Python."""
    installed = Path(sysconfig.get_path("scripts")) / "uwsgi"
    if installed.exists():
        return installed
    return obtain(f"uwsgi-{sys.implementation.cache_tag}", _build, "building with pip") / "bin" / "uwsgi"


def _build(scratch: Path) -> Path:
    run_pip("install", "--no-deps", "--target", scratch / "uwsgi", "uwsgi>=2.0.21")
    return scratch / "uwsgi"


if __name__ == "__main__":
    print_paths(["uwsgi"], lambda _: program())
