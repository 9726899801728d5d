"""urllib3 by itself on a real socket: every promise of an HTTP client, and those for retries, pools and proxies."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from urllib3._collections import HTTPHeaderDict
from urllib3.util.retry import Retry

from autotrace import containment
from autotrace.http_client import via_urllib3
from autotrace.http_client.call import Call
from autotrace.patches import urllib3 as patch
from autotrace.patching import Plan
from tests.contracts.http_client import HttpClient
from tests.http_client import http_peer
from tests.http_client.http_peer import Peer, answer, free_port, ok, redirect
from tests.recorded import Recorded, record, tags


class TestUrllib3(HttpClient):
    component = "urllib3"
    connection_error = urllib3.exceptions.HTTPError
    read_error = urllib3.exceptions.HTTPError

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        with urllib3.PoolManager(retries=Retry(connect=0, read=0), timeout=5) as manager:
            return int(manager.request("GET", url, headers=headers).status)

    def open(self, url: str) -> Any:
        return urllib3.PoolManager(retries=False, timeout=5).request("GET", url, preload_content=False)


class TestPool(TestUrllib3):
    """A pool for one server, without a manager."""

    def get(self, url: str, headers: dict[str, str] | None = None) -> int:
        parts = urlsplit(url)
        with urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, retries=Retry(connect=0, read=0)) as pool:
            return int(pool.urlopen("GET", parts._replace(scheme="", netloc="").geturl(), headers=headers).status)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


def resends(spans: Recorded) -> list[int | None]:
    return [tags(span).get("http.request.resend_count") for span in spans]


def test_each_retry_is_a_span_of_its_own(peer: Peer, spans: Recorded) -> None:
    url = peer.answer("/flaky", answer(503, "no"), answer(503, "no"), ok("yes"))
    retries = Retry(3, status_forcelist=[503], backoff_factor=0)
    assert urllib3.PoolManager().request("GET", url, retries=retries).data == b"yes"
    assert [tags(span)["http.status_code"] for span in spans] == [503, 503, 200]
    assert resends(spans) == [None, 1, 2]
    assert [request.header("X-B3-SpanId") for request in peer.received] == [f"{s.span_id:016x}" for s in spans]


def test_what_a_retry_asks_elsewhere_is_a_call_of_its_own(peer: Peer, spans: Recorded) -> None:
    class Asking(Retry):
        def sleep(self, response: Any = None) -> None:
            urllib3.PoolManager().request("GET", peer.url + "/token")

    url = peer.answer("/flaky", answer(503, "no"), ok("yes"))
    urllib3.PoolManager().request("GET", url, retries=Asking(3, status_forcelist=[503]))
    assert [tags(span)["http.url"].rpartition("/")[2] for span in spans] == ["flaky", "token", "flaky"]
    assert resends(spans) == [None, None, 1]


def test_each_refused_attempt_is_a_span_of_its_own(spans: Recorded) -> None:
    url = f"http://127.0.0.1:{free_port()}/?token=s3cret"
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        urllib3.PoolManager().request("GET", url, retries=Retry(2, backoff_factor=0))
    assert resends(spans) == [None, 1, 2]
    for span in spans:
        assert span.failure is not None
        assert "s3cret" not in span.failure.message


def test_a_redirect_to_another_server_has_that_one_s_peer(peer: Peer, spans: Recorded) -> None:
    with http_peer.peer() as other:
        peer.answer("/1", redirect(other.url + "/2"))
        urllib3.PoolManager().request("GET", peer.url + "/1")
        assert [tags(span)["peer.port"] for span in spans] == [peer.port, other.port]


@pytest.mark.parametrize("retries", [False, Retry(0)])
def test_a_proxy_that_refuses_the_tunnel_is_recorded_though_nothing_was_sent(spans: Recorded, retries: Any) -> None:
    proxy = urllib3.ProxyManager(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(urllib3.exceptions.HTTPError):
        proxy.request("GET", "https://example.invalid/?token=s3cret", retries=retries, timeout=5)
    span = spans.one()
    assert span.failure is not None
    assert "s3cret" not in span.failure.message
    assert (tags(span)["peer.hostname"], tags(span)["peer.port"]) == ("example.invalid", 443)


def test_through_a_proxy_the_span_names_the_server_not_the_proxy(peer: Peer, spans: Recorded) -> None:
    target = "http://billing.invalid/pay"
    peer.answer(target, ok("paid"))
    assert urllib3.ProxyManager(peer.url).request("GET", target, timeout=5).data == b"paid"
    known = tags(spans.one())
    assert (known["peer.hostname"], known["peer.port"], known["http.url"]) == ("billing.invalid", 80, target)


def test_the_program_s_headers_are_left_alone(peer: Peer, spans: Recorded) -> None:
    own = HTTPHeaderDict([("X-A", "1"), ("X-A", "2")])
    manager = urllib3.PoolManager(headers={"X-B": "3"})
    manager.request("GET", peer.url + "/", headers=own)
    manager.request("GET", peer.url + "/")
    assert list(own.items()) == [("X-A", "1"), ("X-A", "2")]
    assert manager.headers == {"X-B": "3"}
    first, second = peer.received
    assert [value for name, value in first.headers if name == "X-A"] == ["1", "2"]
    assert second.header("X-B") == "3"
    assert resends(spans) == [None, None]


def test_a_body_that_makes_calls_while_it_is_sent(peer: Peer, spans: Recorded) -> None:
    manager = urllib3.PoolManager()

    def body() -> Iterator[bytes]:
        yield b"a"
        manager.request("GET", peer.url + "/inner")

    manager.request("POST", peer.url + "/outer", body=body())
    inner, outer = spans
    assert (tags(inner)["http.url"], tags(outer)["http.url"]) == (peer.url + "/inner", peer.url + "/outer")
    assert inner.parent_id == outer.span_id
    assert resends(spans) == [None, None]


def test_a_response_that_is_drained_or_dropped_ends_its_span(peer: Peer, spans: Recorded) -> None:
    manager = urllib3.PoolManager()
    url = peer.answer("/s", ok("x" * 50))
    manager.request("GET", url, preload_content=False).drain_conn()
    assert len(spans) == 1
    manager.request("GET", url, preload_content=False)
    gc.collect()
    assert len(spans) == 2


def test_a_timeout_is_recorded(peer: Peer, spans: Recorded) -> None:
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        urllib3.PoolManager().request("GET", peer.answer("/slow", b"hold"), timeout=0.05, retries=0)
    failure = spans.one().failure
    assert failure is not None
    assert failure.type == "urllib3.exceptions.ReadTimeoutError"


def test_what_cannot_be_sent_makes_no_span(spans: Recorded) -> None:
    with pytest.raises(urllib3.exceptions.LocationValueError):
        urllib3.PoolManager().request("GET", "http:///x")
    with pytest.raises(urllib3.exceptions.URLSchemeUnknown):
        urllib3.PoolManager().request("GET", "ftp://x/")
    with pytest.raises(TypeError):
        urllib3.PoolManager().urlopen()  # type: ignore[call-arg]
    assert spans == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (patch, "Call"),
        (patch, "_enter"),
        (patch, "_full_url"),
        (Call, "start_exchange"),
        (via_urllib3, "Exchange"),
        (via_urllib3, "_copy"),
    ],
)
def test_if_autotrace_fails_the_call_goes_on(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("autotrace's own")

    monkeypatch.setattr(owner, name, broken)
    with record():
        assert urllib3.PoolManager().request("GET", peer.url + "/").data == b"hello"
        with pytest.raises(urllib3.exceptions.MaxRetryError):
            urllib3.PoolManager().request("GET", f"http://127.0.0.1:{free_port()}/", retries=0)
    containment.failures.clear()


def test_patched_twice_is_patched_once(peer: Peer, spans: Recorded) -> None:
    plan = Plan()
    patch.pools(urllib3.poolmanager, plan)
    plan.apply()
    urllib3.PoolManager().request("GET", peer.url + "/")
    assert len(spans) == 1
