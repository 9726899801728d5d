"""The drivers of MySQL behave as without the agent: the cases of mysql_cases.txt, bare and traced, on a MariaDB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from test_services import cache
from test_services.built_drivers import driver, search_path
from test_services.mariadb import MariaDB
from tests.end_to_end import mysql_cases
from tests.end_to_end.mysql_cases import AIO, DRIVERS, aio_cases, cases
from tests.programs import bare, on_path

PROGRAM = str(Path(mysql_cases.__file__))
CASES = [
    *(
        pytest.param(name, case.name, case.spans[name], id=f"{name}: {case.name}")
        for name in DRIVERS
        for case in cases()
    ),
    *(pytest.param(AIO, case.name, case.spans, id=f"{AIO}: {case.name}") for case in aio_cases()),
]


class Outcomes:
    """Both runs: one process each, for all drivers that can be had."""

    def __init__(self, port: int) -> None:
        names = [name for name in DRIVERS if self._had(name)]
        command = (sys.executable, PROGRAM, str(port), *names)
        self.bare = self._read(bare(*command, PYTHONPATH=search_path()), traced=False)
        done = on_path(*command, PYTHONPATH=search_path())
        self.said = done.stderr
        self.traced = self._read(done, traced=True)

    def _had(self, name: str) -> bool:
        if name not in ("MySQLdb", "mariadb"):
            return True
        try:
            return driver(name) is not None
        except cache.Unavailable as reason:
            cache.require_real(name, reason, "its cases are skipped")
            return False

    def _read(self, done: subprocess.CompletedProcess[str], traced: bool) -> Any:
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        assert read["traced"] is traced
        return read["outcomes"]


@pytest.fixture(scope="module")
def outcomes(mariadb: MariaDB) -> Outcomes:
    return Outcomes(mariadb.port)


@pytest.mark.parametrize(("name", "case", "spans"), CASES)
def test_the_program_sees_no_difference(outcomes: Outcomes, name: str, case: str, spans: int) -> None:
    if name not in outcomes.bare:
        pytest.skip(f"{name} cannot be had (told above)")
    expected, found = dict(outcomes.bare[name][case]), dict(outcomes.traced[name][case])
    assert expected.pop("spans") == 0
    made = found.pop("spans")
    assert found == expected
    assert made == spans, "spans"


def test_the_agent_says_nothing(outcomes: Outcomes) -> None:
    assert "autotrace" not in outcomes.said


def test_case_names_are_unique() -> None:
    for table in (cases(), aio_cases()):
        names = [case.name for case in table]
        assert len(names) == len(set(names))
