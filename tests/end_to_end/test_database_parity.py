"""The drivers behave as without the agent: every case of *_cases.txt, bare and traced, on a real PostgreSQL.

Value, type, exception and its text must be the same, and each way of running SQL makes the spans that the table says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from real_parts.postgresql import PostgreSQL
from tests.end_to_end import database_cases
from tests.end_to_end.database_cases import TABLES
from tests.programs import bare, on_path

PROGRAM = str(Path(database_cases.__file__))
CASES = [
    pytest.param(library, case.name, case.spans, id=f"{library}: {case.name}")
    for library, table in TABLES.items()
    for case in table
]


class Outcomes:
    """Both runs: one process each for all cases."""

    def __init__(self, dsn: str) -> None:
        self.bare = self._read(bare(sys.executable, PROGRAM, dsn), traced=False)
        done = on_path(sys.executable, PROGRAM, dsn)
        self.said = done.stderr
        self.traced = self._read(done, traced=True)

    def _read(self, done: subprocess.CompletedProcess[str], traced: bool) -> Any:
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        assert read["traced"] is traced
        return read["outcomes"]


@pytest.fixture(scope="module")
def outcomes(postgresql: PostgreSQL) -> Outcomes:
    return Outcomes(postgresql.dsn)


@pytest.mark.parametrize(("library", "case", "spans"), CASES)
def test_the_program_sees_no_difference(outcomes: Outcomes, library: str, case: str, spans: int) -> None:
    expected, found = dict(outcomes.bare[library][case]), dict(outcomes.traced[library][case])
    assert expected.pop("spans") == 0
    made = found.pop("spans")
    assert found == expected
    assert made == spans, "spans"


def test_the_agent_says_nothing(outcomes: Outcomes) -> None:
    assert outcomes.said == ""


def test_case_names_are_unique() -> None:
    for library, table in TABLES.items():
        names = [case.name for case in table]
        assert len(names) == len(set(names)), library
