"""The two runs of a program of scenarios (scenarios.py), bare and under the agent."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from test_services import cache
from test_services.built_drivers import driver, search_path
from tests.programs import ROOT, bare, on_path


class TwoRuns(NamedTuple):
    bare: dict[str, Any]
    """name -> {value, statements: [], spans: []}"""
    traced: dict[str, Any]
    """name -> {value, statements, spans: [{statement, child, error, tags}]}"""
    failures: dict[str, Any]
    """of ours, contained"""
    stderr: str
    """of the traced run"""


def run_twice(module: str, *arguments: str, **variables: str) -> TwoRuns:
    if any("mysql" in argument or "mariadb" in argument for argument in arguments):
        variables = {**variables, "PYTHONPATH": _drivers_of_mysql()}
    command = (sys.executable, "-W", "ignore", "-m", module, *arguments)
    without = _read(bare(*command, cwd=ROOT, **variables), traced=False)
    done = on_path(*command, cwd=ROOT, **variables)
    traced = _read(done, traced=True)
    assert list(traced["scenarios"]) == list(without["scenarios"])
    return TwoRuns(without["scenarios"], traced["scenarios"], traced["failures"], done.stderr)


def _drivers_of_mysql() -> str:
    """Where the drivers are that have to be compiled, for PYTHONPATH."""
    for name in ("MySQLdb", "mariadb"):
        try:
            driver(name)
        except cache.Unavailable as reason:
            cache.require_real(name, str(reason), "its tests are left out")
            pytest.skip(f"{name} cannot be had")
    return search_path()


def _read(done: subprocess.CompletedProcess[str], traced: bool) -> Any:
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["traced"] is traced
    return read
