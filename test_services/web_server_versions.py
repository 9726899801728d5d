"""HTTP servers and web frameworks of two years ago, each in a cache folder of its own, for a subprocess.

Limit: their dependencies (asgiref, anyio, …) are the installed ones. `python -m test_services.web_server_versions`
fetches all.
"""

from __future__ import annotations

from pathlib import Path

from test_services.cache import print_paths
from test_services.pip_folder import installed

#: Exact on purpose: test data, not dependencies. The first of a row is what the row is about.
REQUIREMENTS = {
    "django": ("django==4.2.16",),
    "fastapi": ("fastapi==0.115.4", "starlette==0.41.2"),
    "uvicorn": ("uvicorn==0.32.0",),
    "hypercorn": ("hypercorn==0.17.3",),
    "aiohttp": ("aiohttp==3.10.10",),
    "tornado": ("tornado==6.4.1",),
    "gunicorn": ("gunicorn==23.0.0",),
    "waitress": ("waitress==3.0.1",),
}


def library_path(name: str) -> Path:
    """The folder to put first on PYTHONPATH for a key of REQUIREMENTS. cache.Unavailable when pip cannot have it."""
    return installed(*REQUIREMENTS[name])


if __name__ == "__main__":
    print_paths(REQUIREMENTS, library_path)
