"""Install Debian packages where we may (root, with apt-get), no questions asked; elsewhere name them to the user."""

from __future__ import annotations

import os
import shutil

from test_services.cache import Unavailable
from test_services.processes import run_to_end
from test_services.progress import announced


def install(*packages: str) -> None:
    """Have apt-get install `packages`; Unavailable, naming them, where that is not possible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable(f"install {' and '.join(packages)} (only root on Debian has it done automatically)")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with announced(f"installing Debian packages on this machine with apt-get: {' '.join(packages)}"):
        run_to_end(["apt-get", "update", "-q"], seconds=300, environment=quiet)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]
        run_to_end(command, seconds=900, environment=quiet)
