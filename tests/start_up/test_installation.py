"""pip makes a wheel with both commands and the bootstrap folder in it, and a bundle for PYTHONPATH."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.programs import ROOT, environment


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=environment(**variables), cwd="/"
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("autotrace_agent-*.whl"))


def test_the_wheel_holds_the_package_the_bootstrap_folder_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "autotrace/bootstrap/sitecustomize.py" in names
    assert "autotrace/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"autotrace", "autotrace_agent"}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and what it depends on; its folder of commands."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    done = run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def test_both_commands_work_from_the_wheel(installed: Path) -> None:
    program = "import sys; print('autotrace.activation' in sys.modules, __import__('os').environ['PYTHONPATH'])"
    done = run(installed / "autotrace-run", installed / "python", "-c", program, AUTOTRACE_EXPORTER="none")
    assert done.stdout.startswith("True "), done.stderr
    assert done.stdout.rstrip().endswith("/site-packages/autotrace/bootstrap")
    check = run(installed / "autotrace", "check")
    assert check.returncode == 0, check.stdout + check.stderr
    assert "sqlite3              on" in check.stdout
    assert "kafka                off: not installed" in check.stdout


def test_a_traced_program_of_the_wheel_makes_spans(installed: Path) -> None:
    program = "import sqlite3; sqlite3.connect(':memory:').execute('select 1')"
    done = run(
        installed / "autotrace-run", "--exporter", "console", "--service", "shop", installed / "python", "-c", program
    )
    assert done.returncode == 0
    assert "SELECT" in done.stderr
    assert "shop" in done.stderr


def test_a_bundle_on_the_path_is_enough(wheel: Path, tmp_path: Path) -> None:
    """What a container image does: pip install --target, and one folder on PYTHONPATH; the program's Python has no
    autotrace.
    """
    bundle = tmp_path / "autotrace-bundle"
    done = run(sys.executable, "-m", "pip", "install", "--quiet", "--target", bundle, wheel)
    assert done.returncode == 0, done.stderr
    bare = tmp_path / "bare"
    venv.create(bare)
    program = "import sqlite3, sys; sqlite3.connect(':memory:').execute('select 1'); print(sys.path[-1])"
    done = run(
        bare / "bin" / "python",
        "-c",
        program,
        PYTHONPATH=os.fspath(bundle / "autotrace" / "bootstrap"),
        AUTOTRACE_EXPORTER="console",
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(bundle)), done.stderr
    assert "SELECT" in done.stderr
