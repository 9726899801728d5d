"""Each kafka-python is importable from its own folder, whatever is installed beside it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from test_services.kafka_python_versions import REQUIREMENTS, library_path


@pytest.mark.parametrize("version", REQUIREMENTS)
def test_a_subprocess_imports_the_version_asked_for(version: str) -> None:
    if version in ("2.0.2", "ng") and sys.version_info >= (3, 12):
        pytest.skip(f"kafka-python {version} itself imports only below Python 3.12")
    folder = library_path(version)
    program = "import kafka; print(kafka.__version__); print(kafka.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    number, origin = done.stdout.split()
    assert number == REQUIREMENTS[version].rpartition("=")[2]
    assert origin.startswith(str(folder))


def test_a_full_number_names_the_same_folder_as_its_line() -> None:
    assert library_path("2.1.5") == library_path("2.1")


def test_a_version_that_is_not_listed_is_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match=r"kafka-python '1.4': choose one of 2.0.2, .*ng"):
        library_path("1.4")
