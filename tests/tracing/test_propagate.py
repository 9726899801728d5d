"""Inject and extract at the edge of the process: baggage, mesh headers, targets, excluded URLs."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from opentelemetry import baggage, context

from autotrace.setting_types import any_of
from autotrace.settings import Settings
from autotrace.tracing import current, propagate
from tests import programs
from tests.http_client import http_peer
from tests.recorded import Recorded

from .started import injected, start


def test_baggage_and_mesh_headers_come_in_and_go_out(spans: Recorded) -> None:
    incoming = propagate.extract_http(
        {"traceparent": f"00-{5:032x}-{6:016x}-01", "baggage": "k=v", "x-request-id": "a b"}
    )
    assert incoming is not None
    token = current.enter(start(incoming), incoming)
    assert baggage.get_baggage("k") == "v"
    inner = context.attach(baggage.set_baggage("own", "1"))
    headers = injected(start())
    context.detach(inner)
    current.leave(token)
    assert headers["baggage"].split(",") == ["k=v", "own=1"]
    assert headers["x-request-id"] == "a b"
    assert baggage.get_baggage("k") is None


def test_targets_limit_who_gets_headers(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagate, "_targets", any_of(("*.svc.cluster.local", "billing")))
    span = start()
    assert injected(span, "billing")
    assert injected(span, "Billing")
    assert injected(span, "a.svc.cluster.local")
    assert injected(span, "api.example.com") == {}
    assert injected(span, "billing.example.com") == {}


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
