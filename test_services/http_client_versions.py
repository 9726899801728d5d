"""HTTP clients of two years ago, each in a cache folder of its own, for the PYTHONPATH of a subprocess.

Limit: the packages that they need (httpcore, yarl, …) are the interpreter's, which also has the newest clients.
`python -m test_services.http_client_versions` fetches all.
"""

from __future__ import annotations

from pathlib import Path

from test_services.cache import print_paths
from test_services.pip_folder import installed

#: Exact on purpose: test data, not dependencies. The first of a row is what the row is about.
REQUIREMENTS = {
    "aiohttp": ("aiohttp==3.10.10",),
    "httpx": ("httpx==0.27.2", "sniffio==1.3.1"),
    "urllib3-1": ("urllib3==1.26.20", "requests==2.29.0"),
    "urllib3-2": ("urllib3==2.2.3", "requests==2.32.3"),
    "too-old": ("requests==2.28.2", "urllib3==1.26.20"),
}


def library_path(name: str) -> Path:
    """The folder to put first on PYTHONPATH for a key of REQUIREMENTS. cache.Unavailable when pip cannot have it."""
    return installed(*REQUIREMENTS[name])


if __name__ == "__main__":
    print_paths(REQUIREMENTS, library_path)
