"""The drivers behave as without the agent: every case of *_cases.txt, bare and traced, on a real PostgreSQL.

DuckDB runs in process; nobody listens for oracledb. Value, type, exception and its text must be the same, and each way
of running SQL makes the spans that the table says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from test_services import cache, odbc
from test_services.built_drivers import driver, search_path
from test_services.postgresql import PostgreSQL
from tests.end_to_end import database_cases
from tests.end_to_end.database_cases import TABLES
from tests.end_to_end.refusing_listener import RefusingListener
from tests.programs import bare, on_path

PROGRAM = str(Path(database_cases.__file__))
CASES = [
    pytest.param(library, case.name, case.spans, id=f"{library}: {case.name}")
    for library, table in TABLES.items()
    for case in table
]


def connection_string(server: PostgreSQL) -> str:
    """For pyodbc; empty where it, or PostgreSQL's ODBC driver, cannot be had."""
    try:
        driver("pyodbc")
        library = odbc.library("postgresql")
    except cache.Unavailable as reason:
        cache.require_real("pyodbc", reason, "its cases are skipped")
        return ""
    return f"DRIVER={library};SERVER={server.host};PORT={server.port};UID={server.user};DATABASE={server.database}"


class Outcomes:
    """Both runs: one process each for all cases."""

    def __init__(self, server: PostgreSQL, listener: int) -> None:
        path = {"PYTHONPATH": search_path()}
        command = (sys.executable, PROGRAM, server.dsn, connection_string(server), str(listener))
        self.bare = self._read(bare(*command, **path), traced=False)
        done = on_path(*command, **path)
        self.said = done.stderr
        self.traced = self._read(done, traced=True)

    def _read(self, done: subprocess.CompletedProcess[str], traced: bool) -> Any:
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        assert read["traced"] is traced
        return read["outcomes"]


@pytest.fixture(scope="module")
def outcomes(postgresql: PostgreSQL) -> Outcomes:
    with RefusingListener() as listener:
        return Outcomes(postgresql, listener.port)


@pytest.mark.parametrize(("library", "case", "spans"), CASES)
def test_the_program_sees_no_difference(outcomes: Outcomes, library: str, case: str, spans: int) -> None:
    if library not in outcomes.bare:
        pytest.skip(f"{library} cannot be had (told above)")
    expected, found = dict(outcomes.bare[library][case]), dict(outcomes.traced[library][case])
    assert expected.pop("spans") == 0
    made = found.pop("spans")
    assert found == expected
    assert made == spans, "spans"


def test_the_agent_says_nothing(outcomes: Outcomes) -> None:
    """psycopg does, with or without it: of a pipeline that has failed, now and then."""
    said = [
        line
        for line in outcomes.said.splitlines()
        if not line.startswith("error ignored terminating <psycopg.Pipeline")
    ]
    assert said == []


def test_case_names_are_unique() -> None:
    for library, table in TABLES.items():
        names = [case.name for case in table]
        assert len(names) == len(set(names)), library
