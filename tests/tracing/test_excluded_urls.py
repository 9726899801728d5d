"""AUTOTRACE_EXCLUDED_URLS: globs for paths, called or served, and for whole URLs without their query."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from autotrace.setting_types import any_of
from autotrace.settings import Settings
from autotrace.tracing import propagate
from tests import programs
from tests.http_client import http_peer


@pytest.fixture
def exclude(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def exclude(text: str) -> None:
        globs = Settings({"AUTOTRACE_EXCLUDED_URLS": text}).excluded_urls
        monkeypatch.setattr(propagate, "_excluded", any_of(globs))

    return exclude


@pytest.mark.parametrize(
    ("globs", "url", "excluded"),
    [
        ("", "http://h/health", False),
        ("/health*", "http://h/health", True),
        ("/health*", "http://h:80/healthz?full=1", True),
        ("/health*", "/health/live", True),
        ("/health*", "http://h/api/health", False),
        ("/health", "http://h/healthz", False),
        ("*/health", "http://h/api/health", True),
        ("*/health", "/api/health", True),
        ("/", "http://h", True),
        ("/", "http://h?x=1", True),
        ("/", "http://h/x", False),
        ("http://consul:8500/*", "http://consul:8500/v1/kv", True),
        ("http://consul:8500/*", "http://consul:8501/v1/kv", False),
        ("/a, /b ,", "/b", True),
        ("/h?", "/h1", True),
        ("/health*", "http://h/x?next=/health", False),
        ("/health*", "http://h/x#/health", False),
        ("/health.", "/healthz", False),
        ("/x", "http://[::1]:80/x", True),
        ("/x", "", False),
        ("/x", "no url", False),
    ],
)
def test_a_url_is_left_alone_where_a_glob_holds_for_its_path_or_all_of_it(
    exclude: Callable[[str], None], globs: str, url: str, excluded: bool
) -> None:
    exclude(globs)
    assert propagate.is_excluded(url) is excluded


def test_the_setting_reaches_a_program() -> None:
    with http_peer.peer() as peer:
        program = f"import urllib.request as u; [u.urlopen('{peer.url}/' + t).read() for t in ('health', 'work')]"
        done = programs.on_path(sys.executable, "-c", program, AUTOTRACE_EXCLUDED_URLS="/health")
        assert (done.returncode, done.stderr) == (0, "")
        assert [request.header("traceparent") is not None for request in peer.received] == [False, True]
