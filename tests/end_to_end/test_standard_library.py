"""CPython's own tests of patched modules and of imports, under the agent: none fails that passes without.

AUTOTRACE_PROPAGATION_TARGETS keeps trace headers off, because some of these tests compare whole requests.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from test_services import cache, debian
from test_services.receiver import Receiver
from tests.programs import BOOTSTRAP, environment

_WANTED = """test_sqlite test_sqlite3 test_httplib test_httpservers test_wsgiref test_threading test_threading_local test_thread
    test_urllib test_urllib2 test_urllib2_localnet test_xmlrpc test_docxmlrpc test_context test_robotparser test_import test_atexit
    test_runpy test_site""".split()
_MINUTES = 10


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """Those that this Python has: 3.10 calls some otherwise."""
    if find_spec("test.test_httplib") is None:
        try:
            debian.install(f"libpython3.{sys.version_info.minor}-testsuite")
        except cache.Unavailable as reason:
            cache.require_real("CPython's tests", reason, "they are not run under the agent")
            pytest.skip("CPython's tests cannot be had")
    found = [name for name in _WANTED if find_spec(f"test.{name}") is not None]
    assert "test_httplib" in found and "test_threading" in found
    return found


def failing(folder: Path, modules: list[str], **variables: str) -> tuple[set[str], int]:
    """The names of the tests that failed, and how many ran."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "test", "-j2", f"--tempdir={folder}", f"--junit-xml={report}", *modules]
    done = subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=60 * _MINUTES
    )
    assert report.exists(), done.stdout + done.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {
        case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None
    }
    return failed, len(cases)


def test_no_test_of_cpython_fails_that_passes_without_the_agent(modules: list[str], tmp_path: Path) -> None:
    with Receiver() as receiver:
        failed, ran = failing(
            tmp_path,
            modules,
            PYTHONPATH=str(BOOTSTRAP),
            AUTOTRACE_ENDPOINT=receiver.http_url,
            AUTOTRACE_PROPAGATION_TARGETS="nowhere.invalid",
        )
        traced = len(receiver.spans)
        assert receiver.errors == []
    if failed:  # a machine without IPv6, say, fails some of them by itself
        failed -= failing(tmp_path, sorted({name.split(".")[1] for name in failed}))[0]
    assert failed == set()
    assert ran > 1000
    assert traced > 400, "spans"
