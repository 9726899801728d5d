"""Database drivers that pip has to compile, or that need a C library: the installed one, else one from the cache.

Limit: a built driver belongs to one interpreter version. Its folder is appended to sys.path; search_path() names it for
others. `python -m test_services.built_drivers` builds all and prints their folders.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from test_services import debian
from test_services.cache import Unavailable, folder, obtain, print_paths
from test_services.pip_folder import run_pip

#: module -> (what pip gets, the Debian packages it needs).
DRIVERS = {
    "MySQLdb": ("mysqlclient>=2.1", ("libmariadb-dev", "pkg-config", "gcc", "libc6-dev")),
    "mariadb": ("mariadb>=1.1", ("libmariadb-dev", "pkg-config", "gcc", "libc6-dev")),
    "pyodbc": ("pyodbc>=5", ("unixodbc",)),
    "mysql.connector": ("mysql-connector-python==9.4.0", ()),  # the C part of this one brings its libraries along
}


def driver(module: str) -> ModuleType:
    """The module, a key of DRIVERS, imported. cache.Unavailable if it cannot be had, with the package that
    would help.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        library = str(library_path(module))
    if library not in sys.path:
        sys.path.append(library)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Unavailable(f"{module} is installed in {library} but does not import: {error}") from error


def library_path(module: str) -> Path:
    """The folder that holds it, for this interpreter's version."""
    requirement, packages = DRIVERS[module]

    def build(scratch: Path) -> Path:
        if packages:
            debian.install(*packages)
        run_pip("install", "--target", scratch / "library", requirement)
        return scratch / "library"

    return obtain(f"{module}-{sys.implementation.cache_tag}", build, "building with pip")


def search_path() -> str:
    """sys.path's folders of built drivers, for the PYTHONPATH of a subprocess."""
    return os.pathsep.join(path for path in sys.path if path in map(str, _folders()))


def _folders() -> list[Path]:
    return [folder() / f"{module}-{sys.implementation.cache_tag}" for module in DRIVERS]


if __name__ == "__main__":
    print_paths(DRIVERS, library_path)
