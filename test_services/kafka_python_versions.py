"""Every kafka-python in use, each in a cache folder of its own, for the PYTHONPATH of a subprocess.

Limit: pure Python, so one folder serves all interpreters, but 2.0.2 and ng import only below Python 3.12.
`python -m test_services.kafka_python_versions` fetches all and prints their folders.
"""

from __future__ import annotations

from pathlib import Path

from test_services.cache import print_paths
from test_services.pip_folder import installed

#: Exact on purpose: test data, not dependencies. 2.0.2 and 2.1.5 as installed out there, else the newest of each line.
REQUIREMENTS = {
    "2.0.2": "kafka-python==2.0.2",
    "2.1": "kafka-python==2.1.5",
    "2.2": "kafka-python==2.2.21",
    "2.3": "kafka-python==2.3.3",
    "3.0": "kafka-python==3.0.12",
    "ng": "kafka-python-ng==2.2.3",
}


def library_path(version: str) -> Path:
    """The folder to put first on PYTHONPATH for a version: a key of REQUIREMENTS, or the number in full ("2.1.5").

    ValueError for a version not listed; cache.Unavailable when pip cannot have it.
    """
    requirement = REQUIREMENTS.get(version, f"kafka-python=={version}")
    if requirement not in REQUIREMENTS.values():
        raise ValueError(f"kafka-python {version!r}: choose one of {', '.join(REQUIREMENTS)}")
    return installed(requirement, compiled=False)


if __name__ == "__main__":
    print_paths(REQUIREMENTS, library_path)
