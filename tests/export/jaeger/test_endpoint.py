"""The endpoint: every way to write it, and the message about a bad one."""

from __future__ import annotations

import pytest

from autotrace.export.jaeger.endpoint import DEFAULT_URL, Agent, Collector, endpoint
from autotrace.settings import Settings
from tests.export.finished import settings


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("http://collector:14268/api/traces", Collector("http://collector:14268/api/traces")),
        ("http://collector:14268", Collector("http://collector:14268/api/traces")),
        ("http://collector:14268/", Collector("http://collector:14268/api/traces")),
        ("https://user:pass@collector/jaeger/api?x=1", Collector("https://user:pass@collector/jaeger/api?x=1")),
        ("http://[::1]:14268", Collector("http://[::1]:14268/api/traces")),
        ("udp://agent:6831", Agent("agent", 6831)),
        ("udp://agent", Agent("agent", 6831)),
        ("udp://[::1]:6832/", Agent("::1", 6832)),
        ("UDP://agent:7000", Agent("agent", 7000)),
    ],
)
def test_an_endpoint_is_read(given: str, where: Collector | Agent) -> None:
    assert endpoint(settings(endpoint=given)) == where


def test_port_6832_speaks_binary() -> None:
    assert [Agent("a", port).binary for port in (6831, 6832, 7000)] == [False, True, False]


def test_without_an_endpoint_the_agent_counts_and_then_the_default() -> None:
    assert endpoint(settings(agent_host="agent")) == Agent("agent", 6831)
    assert endpoint(Settings({"JAEGER_AGENT_HOST": "a", "JAEGER_AGENT_PORT": "6832"})) == Agent("a", 6832)
    assert endpoint(settings(agent_port="7000")) == Collector(DEFAULT_URL)
    assert endpoint(settings(agent_host="agent", endpoint="http://c")) == Collector("http://c/api/traces")


@pytest.mark.parametrize(
    "wrong",
    ["collector:14268", "ftp://x", "http://", "udp://h:0x", "http://h:99999", "udp://h/api/traces", "http://[::1"],
)  # fmt: skip
def test_a_bad_endpoint_is_one_line_and_the_default_is_used(wrong: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert endpoint(settings(endpoint=wrong)) == Collector(DEFAULT_URL)
    err = capfd.readouterr().err
    assert err.startswith(f"autotrace: AUTOTRACE_ENDPOINT={wrong!r}: ")
    assert err.count("\n") == 1
    assert DEFAULT_URL in err


def test_a_password_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    endpoint(Settings({"JAEGER_ENDPOINT": "tcp://me:secret@host:1"}))
    err = capfd.readouterr().err
    assert err.startswith("autotrace: JAEGER_ENDPOINT=")
    assert "secret" not in err
