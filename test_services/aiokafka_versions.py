"""aiokafka of two years ago, in a cache folder of its own, for the PYTHONPATH of a subprocess; the newest is installed.

Limit: it is compiled, so there is a folder for each Python. `python -m test_services.aiokafka_versions` fetches all of
them.
"""

from __future__ import annotations

from pathlib import Path

from test_services.cache import print_paths
from test_services.pip_folder import installed

#: Exact on purpose: test data, not dependencies. 0.12 still asks its broker for an api_version, and refuses headers
#: below 0.11.
REQUIREMENTS = {"0.12": ("aiokafka==0.12.0", "async-timeout==5.0.1")}


def library_path(version: str) -> Path:
    """The folder to put first on PYTHONPATH for a key of REQUIREMENTS. cache.Unavailable when pip cannot have it."""
    return installed(*REQUIREMENTS[version])


if __name__ == "__main__":
    print_paths(REQUIREMENTS, library_path)
