"""Debian's ODBC drivers: the path of a library, for `DRIVER={path}` in a connection string; installed if missing.

`python -m test_services.odbc` prints them.
"""

from __future__ import annotations

from pathlib import Path

from test_services import debian
from test_services.cache import Unavailable, print_paths

#: server -> (Debian's package, its library).
LIBRARIES = {"mariadb": ("odbc-mariadb", "libmaodbc.so"), "postgresql": ("odbc-postgresql", "psqlodbcw.so")}


def library(server: str) -> str:
    """For `server`, a key of LIBRARIES. cache.Unavailable if it cannot be had, with the package that would help."""
    package, name = LIBRARIES[server]
    if not _installed(name):
        debian.install(package, "unixodbc")
    found = _installed(name)
    if not found:
        raise Unavailable(f"no {name} in /usr/lib, though {package} is installed")
    return str(found)


def _installed(name: str) -> Path | None:
    return next(
        (path for pattern in ("*/odbc", "odbc", "*") for path in Path("/usr/lib").glob(f"{pattern}/{name}")), None
    )


if __name__ == "__main__":
    print_paths(LIBRARIES, library)
