"""The component of a span if one library calls another (requests, urllib3, http.client), and if some are disabled."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests import programs
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


def traced_with(disabled: str, program: str) -> list[str]:
    """The components of the spans that `program` makes, in the order they end."""
    whole = (
        "import autotrace.activation as a; a.activate()\n"
        "import requests, urllib3\n"
        "from autotrace.tracing.span import Span\n"
        "from autotrace.semantics import span_reader\n"
        f"Span.sink = staticmethod(lambda span: print(dict(span_reader.tags(span))['component']))\n{program}"
    )
    environment = programs.environment(AUTOTRACE_EXPORTER="none", AUTOTRACE_DISABLED_PATCHES=disabled)
    done = programs._run((sys.executable, "-c", whole), None, environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("disabled", "components"),
    [
        ("", ["urllib3", "requests"]),
        ("urllib3", ["http.client", "requests"]),
        ("urllib3,http.client", ["requests"]),
    ],
)
def test_a_body_s_own_calls_are_never_counted_as_its_request_s(
    peer: Peer, disabled: str, components: list[str]
) -> None:
    program = (
        f"def body():\n    yield urllib3.PoolManager().request('GET', '{peer.url}/inner').data\n"
        f"requests.post('{peer.url}/outer', data=body())\n"
    )
    assert traced_with(disabled, program) == components
    assert [request.target for request in peer.received] in (["/inner", "/outer"], ["/outer", "/inner"])


@pytest.mark.parametrize(
    ("disabled", "components"),
    [
        ("", ["requests", "urllib3"]),
        ("urllib3", ["requests", "http.client"]),
        ("urllib3,http.client", ["requests"]),
        ("requests", ["urllib3", "urllib3"]),
        ("requests,urllib3", ["http.client", "http.client"]),
    ],
)
def test_whichever_layers_are_traced_a_call_is_one_span(peer: Peer, disabled: str, components: list[str]) -> None:
    program = f"requests.get('{peer.url}/').text\nurllib3.PoolManager().request('GET', '{peer.url}/')\n"
    assert traced_with(disabled, program) == components
    assert [request.header("traceparent") is not None for request in peer.received].count(True) == len(components)
