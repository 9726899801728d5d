"""HTTP clients of two years ago pass the tests of their patches: patches look at features, not at version numbers."""

from __future__ import annotations

import pytest

from test_services.http_client_versions import REQUIREMENTS, library_path
from tests.end_to_end.older_version import assert_passes, assert_there

TESTS = {
    "aiohttp": ("aiohttp",),
    "httpx": ("httpx",),
    "urllib3-1": ("urllib3", "requests"),
    "urllib3-2": ("urllib3", "requests"),
}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_version_passes_all_tests_of_the_patch(name: str) -> None:
    assert_passes(library_path(name), TESTS[name])


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_process_has_the_version_that_is_meant(name: str) -> None:
    assert_there(library_path(name), REQUIREMENTS[name])
