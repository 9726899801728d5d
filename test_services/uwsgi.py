"""The uWSGI server, which is published as source alone: the program where it is installed, else built once into the cache (a minute).

Limit: it embeds one interpreter, this one's version. Its own modules are all in the program.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from test_services.cache import Unavailable, obtain
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
    try:
        print(program())
    except Unavailable as reason:
        raise SystemExit(str(reason)) from None
