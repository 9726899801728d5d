"""Every HTTP client over TLS, directly and through a tunnel: one span for the server, no headers for the proxy."""

from __future__ import annotations

import asyncio
import http.client
import urllib.request
from collections.abc import Callable, Iterator

import aiohttp
import httpx
import pytest
import requests
import urllib3

from tests.http_client import tls_peer
from tests.http_client.tls_peer import TlsPeer
from tests.recorded import Recorded, tags


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsPeer]:
    with tls_peer.peer(tmp_path_factory.mktemp("tls")) as peer:
        yield peer


@pytest.fixture
def peer(shared: TlsPeer) -> TlsPeer:
    shared.received.clear()
    shared.tunnels.clear()
    return shared


def by_requests(peer: TlsPeer, proxy: str | None) -> str:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(peer.url, verify=peer.ca_file, proxies={"https": proxy} if proxy else None).text


def by_urllib3(peer: TlsPeer, proxy: str | None) -> str:
    options = {"ssl_context": peer.context}
    manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    with manager:
        return manager.request("GET", peer.url).data.decode()


def by_http_client(peer: TlsPeer, proxy: str | None) -> str:
    host, port = ("127.0.0.1", peer.proxy_port) if proxy else ("localhost", peer.port)
    connection = http.client.HTTPSConnection(host, port, context=peer.context)
    if proxy:
        connection.set_tunnel("localhost", peer.port)
    connection.request("GET", "/x")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def by_urllib_request(peer: TlsPeer, proxy: str | None) -> str:
    proxies = urllib.request.ProxyHandler({"https": proxy} if proxy else {})
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=peer.context), proxies)
    with opener.open(peer.url) as response:
        return str(response.read().decode())


def by_httpx(peer: TlsPeer, proxy: str | None) -> str:
    with httpx.Client(verify=peer.context, proxy=proxy) as client:
        return client.get(peer.url).text


def by_async_httpx(peer: TlsPeer, proxy: str | None) -> str:
    async def story() -> str:
        async with httpx.AsyncClient(verify=peer.context, proxy=proxy) as client:
            return (await client.get(peer.url)).text

    return asyncio.run(story())


def by_aiohttp(peer: TlsPeer, proxy: str | None) -> str:
    async def story() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(peer.url, ssl=peer.context, proxy=proxy) as response,
        ):
            return await response.text()

    return asyncio.run(story())


WAYS = {
    by_requests: "requests",
    by_urllib3: "urllib3",
    by_http_client: "http.client",
    by_urllib_request: "urllib.request",
    by_httpx: "httpx",
    by_async_httpx: "httpx",
    by_aiohttp: "aiohttp",
}


@pytest.mark.parametrize("tunnelled", [False, True], ids=["direct", "tunnel"])
@pytest.mark.parametrize("way", WAYS)
def test_one_span_and_only_the_server_gets_its_headers(
    peer: TlsPeer, spans: Recorded, way: Callable[[TlsPeer, str | None], str], tunnelled: bool
) -> None:
    assert way(peer, peer.proxy if tunnelled else None) == "hello"
    span = spans.one()
    known = tags(span)
    assert (known["component"], known["http.url"]) == (WAYS[way], peer.url)
    assert (known["peer.hostname"], known["peer.port"]) == ("localhost", peer.port)
    assert known["http.status_code"] == 200
    (received,) = peer.received
    assert f"x-b3-spanid: {span.span_id:016x}" in received.lower()
    assert len(peer.tunnels) == tunnelled
    assert "x-b3" not in "".join(peer.tunnels).lower()


@pytest.mark.parametrize("way", [way for way in WAYS if way not in (by_requests, by_http_client)])
def test_a_certificate_that_is_refused_is_an_error_of_the_span(
    peer: TlsPeer, spans: Recorded, way: Callable[[TlsPeer, str | None], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    monkeypatch.setattr(peer, "context", ssl.create_default_context())
    with pytest.raises(Exception, match=r"(?i)certificate"):
        way(peer, None)
    assert len(spans) >= 1
    assert all("certificate" in (span.failure.message if span.failure else "").lower() for span in spans)
    assert peer.received == []
