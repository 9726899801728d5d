"""The tests that libraries ship with their source, in the installed version; and the packages that these tests need.

Limits: they come into folders, and nothing installed changes. A library's C code is not built again: its tests use the
wheel's. `python -m test_services.own_suites` fetches all and prints the folders.
"""

from __future__ import annotations

import shutil
import tarfile
from importlib.metadata import version
from pathlib import Path

from test_services import debian
from test_services.cache import obtain, print_paths
from test_services.pip_folder import installed, run_pip

#: distribution -> what its tests import beyond the test extra, dependencies of these too. Exact on purpose: test data.
NEEDS = {
    "flask": ("pytest==8.4.2",),
    "requests": (
        "brotlicffi==1.2.1.0",
        "decorator==5.3.1",
        "httpbin==0.10.4",
        "pysocks==1.7.1",
        "pytest-httpbin==2.1.0",
        "pytest-mock==3.17.0",
        "six==1.17.0",
    ),
    "psycopg2-binary": (),
}


def source(distribution: str) -> Path:
    """The unpacked sdist of the version that is installed. cache.Unavailable when pip cannot have it."""
    number = version(distribution)

    def download(scratch: Path) -> Path:
        # pip asks the source for its name and version; for psycopg2 that takes pg_config.
        if distribution.startswith("psycopg2") and shutil.which("pg_config") is None:
            debian.install("libpq-dev")
        run_pip("download", "--no-deps", "--no-binary", ":all:", "--dest", scratch, f"{distribution}=={number}")
        (archive,) = scratch.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(scratch / "all")  # what pip has checked against the index
        (unpacked,) = (scratch / "all").iterdir()
        return unpacked

    return obtain(f"source-{distribution}-{number}", download, "downloading with pip")


def needed(distribution: str) -> Path | None:
    """The folder for PYTHONPATH that its tests need, or None. cache.Unavailable if pip cannot have it."""
    requirements = NEEDS[distribution]
    return installed(*requirements) if requirements else None


if __name__ == "__main__":
    print_paths(NEEDS, lambda name: f"{source(name)}:{needed(name) or ''}")
