"""Harmless, as the libraries themselves see it: their own tests end the same with the agent and without, one by one.

Each suite runs twice in a process of its own, headers propagated and spans sent, as in a program. Which tests fail bare
is the library's and the machine's affair. Limit: the suites that are quick; docs/architecture.md names all that were
compared.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import psycopg2
import pytest

from test_services import cache
from test_services.own_suites import NEEDS, needed, source
from test_services.postgresql import PostgreSQL
from test_services.receiver import Receiver
from tests.programs import bare, on_path


class Suite(NamedTuple):
    arguments: tuple[str, ...]
    """of pytest, in the folder of the source"""
    passing: int
    """this many tests at least, else the suite does not run as it should"""
    spans: int
    """this many at least, else the agent was not there"""
    before: str = "pass"
    """what the suite's own runner does first"""
    left_out: str = ""
    """pytest's -k: tests that measure time, which a busy machine fails now and then, and those that wait for long"""
    exceptions: Mapping[str, str] = {}
    """part of a test's name -> why it may end otherwise"""


SUITES = {
    "psycopg2-binary": Suite(
        ("tests",),
        passing=500,
        spans=1000,
        left_out="Notifies or Signal or insane_size or concurren or threadsafe or multiprocess or non_block or dbapi20",
    ),
    "requests": Suite(
        ("-p", "pytest_httpbin.plugin", "-p", "pytest_mock", "tests", "--ignore=tests/test_testserver.py"),
        passing=500,
        spans=200,
        left_out="timeout or Timeout or alt_utf or rfc1808 or only_on_4xx or unexpired_cert or digestauth_401 or fragment_update",
        exceptions={"test_response_iter_lines_reentrant": "how the network cuts the answer decides"},
    ),
    "flask": Suite(("tests",), passing=400, spans=300),
    "tornado": Suite(
        ("--pyargs", "tornado.test.web_test", "tornado.test.simple_httpclient_test"),
        passing=300,
        spans=300,
        before="import logging; logging.getLogger('tornado.access').setLevel('CRITICAL')",
        left_out="timeout or Timeout or bomb or limit",
    ),
    "aiosqlite": Suite(("--pyargs", "aiosqlite.tests.smoke"), passing=20, spans=50),
}


class Ran(NamedTuple):
    outcomes: Counter[str]
    """`class::test outcome`; an error at its end is an outcome of its own"""
    stderr: str


@pytest.mark.parametrize("name", SUITES)
def test_a_library_passes_its_own_tests_as_without_the_agent(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    suite = SUITES[name]
    folder, variables = _surroundings(name, tmp_path, request)
    different = _differences(suite, tmp_path / "first", folder, variables)
    if different:  # a busy machine fails tests of libraries that wait for a time; autotrace would fail them each time
        different &= _differences(suite, tmp_path / "second", folder, variables)
    assert sorted(different) == []


def _differences(suite: Suite, results: Path, folder: Path, variables: dict[str, str]) -> set[str]:
    """The tests that end otherwise bare and traced."""
    results.mkdir()
    without = _run(suite, results / "bare", folder, variables)
    with Receiver() as receiver:
        agent = {"AUTOTRACE_EXPORTER": "jaeger", "AUTOTRACE_ENDPOINT": receiver.http_url}
        within = _run(suite, results / "traced", folder, {**variables, **agent})
        receiver.wait(suite.spans, seconds=0)  # and each of them decodes
    assert sum(outcome.endswith(" passed") for outcome in without.outcomes) >= suite.passing
    assert "autotrace:" not in within.stderr  # a failure of ours would say so
    different = (without.outcomes - within.outcomes) + (within.outcomes - without.outcomes)
    tests = {outcome.rpartition(" ")[0] for outcome in different}
    return {test for test in tests if not any(known in test for known in suite.exceptions)}


def _surroundings(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, dict[str, str]]:
    """(folder of the tests, their environment). Tests of a library that is not in NEEDS are installed with it."""
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path)}
    if name == "psycopg2-binary":
        variables |= _database(request.getfixturevalue("postgresql"))
    if name not in NEEDS:
        return tmp_path, variables
    try:
        folder, library = source(name), needed(name)
    except cache.Unavailable as reason:
        cache.require_real(f"{name}'s own tests", reason, "they are not run")
        pytest.skip(f"{name}'s own tests cannot be had")
    return folder, {**variables, "PYTHONPATH": str(library or "")}


def _database(server: PostgreSQL) -> dict[str, str]:
    """Where psycopg2's tests work: in a database of their own, for they leave things behind."""
    connection = psycopg2.connect(server.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS own_suites")
        cursor.execute("CREATE DATABASE own_suites")
    connection.close()
    variables = {"": "own_suites", "_HOST": server.host, "_PORT": str(server.port), "_USER": server.user}
    return {f"PSYCOPG2_TESTDB{key}": value for key, value in variables.items()}


def _run(suite: Suite, results: Path, folder: Path, variables: dict[str, str]) -> Ran:
    program = f"import sys, pytest; {suite.before}; sys.exit(pytest.main(sys.argv[1:]))"
    options = ("-q", "-p", "no:cacheprovider", "--capture=no", f"--junit-xml={results}.xml", f"--basetemp={results}")
    options += ("-k", f"not ({suite.left_out})") if suite.left_out else ()
    start = on_path if "AUTOTRACE_ENDPOINT" in variables else bare
    done = start(sys.executable, "-c", program, *options, *suite.arguments, cwd=folder, **variables)
    assert done.returncode in (0, 1), done.stdout[-5000:] + done.stderr[-5000:]  # 1: some failed; else it did not run
    return Ran(Counter(map(_outcome, ElementTree.parse(f"{results}.xml").iter("testcase"))), done.stderr)


def _outcome(case: ElementTree.Element) -> str:
    found = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
    return f"{case.get('classname')}::{case.get('name')} {' '.join(found) or 'passed'}"
