"""HTTP clients of two years ago pass the tests of their patches, each in its own process. An older one is refused."""

from __future__ import annotations

import sys

import pytest

from test_services.http_client_versions import REQUIREMENTS, library_path
from tests import programs
from tests.end_to_end.older_version import assert_passes, assert_there
from tests.http_client import http_peer

URLLIB3 = (
    "patches/test_urllib3",
    "patches/test_requests",
    "http_client/test_call",
    "http_client/test_component",
    "http_client/test_via_urllib3",
)
TESTS = {
    "aiohttp": ("patches/test_aiohttp",),
    "httpx": ("patches/test_httpx",),
    "urllib3-1": URLLIB3,
    "urllib3-2": URLLIB3,
}


@pytest.mark.parametrize("name", TESTS)
def test_a_version_passes_all_tests_of_the_patch(name: str) -> None:
    assert_passes(library_path(name), TESTS[name])


def test_requests_before_2_29_is_refused_with_the_reason_and_urllib3_traces_its_calls() -> None:
    with http_peer.peer() as peer:
        program = (
            "import autotrace.activation as a; a.activate()\nimport requests\nfrom autotrace import registry\n"
            f"requests.get('{peer.url}/')\nprint(registry.states['requests', 'requests.sessions'])\n"
        )
        environment = programs.environment(AUTOTRACE_EXPORTER="none", PYTHONPATH=str(library_path("too-old")))
        done = programs._run((sys.executable, "-W", "ignore", "-c", program), None, environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "refused: requests < 2.29 sends bodies of unknown length past urllib3; 2.29 or later is needed\n"
    )
    assert peer.received[0].header("traceparent") is not None


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_process_has_the_version_that_is_meant(name: str) -> None:
    assert_there(library_path(name), REQUIREMENTS[name])
