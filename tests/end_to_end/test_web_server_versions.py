"""Servers and web frameworks of two years ago pass the tests of their patches, each in a process of its own."""

from __future__ import annotations

import pytest

from test_services.web_server_versions import REQUIREMENTS, library_path
from tests.end_to_end.older_version import assert_passes, assert_there

TESTS = {
    "fastapi": ("starlette", "fastapi"),
    "aiohttp": ("aiohttp_web",),
}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_version_passes_all_tests_of_the_patch(name: str) -> None:
    assert_passes(library_path(name), tuple(f"patches/test_{patch}" for patch in TESTS.get(name, (name,))))


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_process_has_the_version_that_is_meant(name: str) -> None:
    assert_there(library_path(name), REQUIREMENTS[name])
