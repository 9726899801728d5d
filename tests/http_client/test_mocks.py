"""Libraries that record or answer requests in a test keep what the program sent, no more, and what they send is one
span.
"""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
import requests
import responses
import respx
import urllib3
import vcr

from autotrace.http_client import urllib3_body, via_http_client
from tests.http_client import http_peer
from tests.http_client.clients import CLIENTS
from tests.http_client.http_peer import Peer
from tests.recorded import Recorded, tags

every_client = pytest.mark.parametrize("name", CLIENTS)
TRACE_HEADERS = ("traceparent", "b3")


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


@every_client
def test_a_cassette_holds_what_the_program_sent_and_is_played_back(
    peer: Peer, spans: Recorded, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "cassette.yaml"
    with vcr.use_cassette(path):
        assert CLIENTS[name](peer.url + "/x", {"a": "b"}) == 200
    span = spans.one()
    assert tags(span)["component"] == name.partition(",")[0]
    assert (tags(span)["http.status_code"], span.failure) == (200, None)
    (received,) = peer.received
    assert received.header("traceparent") == f"00-{span.trace_id:032x}-{span.span_id:016x}-01"
    assert not any(header in path.read_text().lower() for header in TRACE_HEADERS)
    with vcr.use_cassette(path, record_mode="none", match_on=["method", "uri", "headers"]):
        assert CLIENTS[name](peer.url + "/x", {"a": "b"}) == 200
    assert len(spans) == 1, "a recorded answer was sent by nobody"
    assert len(peer.received) == 1


def test_a_call_after_a_recorded_one_is_as_ever(peer: Peer, spans: Recorded, tmp_path: Path) -> None:
    with urllib3.PoolManager() as pool, vcr.use_cassette(tmp_path / "cassette.yaml"):
        for target in ("/a", "/b"):
            assert pool.request("GET", peer.url + target).data == b"hello"
    with urllib3.PoolManager() as pool:
        pool.request("GET", peer.url + "/c")
    assert [tags(span)["http.url"][-2:] for span in spans] == ["/a", "/b", "/c"]
    assert all(request.header("traceparent") for request in peer.received)


def test_a_connection_of_the_program_s_that_sends_through_http_client(peer: Peer, spans: Recorded) -> None:
    seen = []

    class Connection(urllib3.connection.HTTPConnection):
        def endheaders(self, *args: Any, **kwargs: Any) -> None:
            seen.append(list(self._buffer))  # type: ignore[attr-defined]
            super().endheaders(*args, **kwargs)

    pool = urllib3.HTTPConnectionPool("127.0.0.1", peer.port)
    pool.ConnectionCls = Connection
    assert pool.request("GET", "/x").data == b"hello"
    assert spans.one().trace_id == int((peer.received[0].header("traceparent") or "")[3:35], 16)
    assert b"traceparent" not in b"".join(seen[0]).lower()


def test_respx_sees_the_program_s_headers_and_nothing_is_sent(spans: Recorded) -> None:
    with respx.mock:
        route = respx.get("http://h/x").mock(return_value=httpx.Response(200, text="mocked"))
        assert httpx.get("http://h/x", headers={"a": "b"}, verify=False).text == "mocked"
        assert CLIENTS["httpx, async"]("http://h/x", {}) == 200
        respx.get("http://h/y").mock(side_effect=httpx.ConnectError)
        with pytest.raises(httpx.ConnectError):
            httpx.get("http://h/y", verify=False)
    assert not any(header in call.request.headers for call in route.calls for header in TRACE_HEADERS)
    assert spans == []


def test_after_respx_httpx_is_traced_again(peer: Peer, spans: Recorded) -> None:
    with respx.mock:
        respx.get("http://h/x").mock(return_value=httpx.Response(200))
        httpx.get("http://h/x", verify=False)
    httpx.get(peer.url + "/x", verify=False)
    assert len(spans) == 1
    assert peer.received[0].header("traceparent") is not None


def test_responses_sees_the_program_s_headers_and_nothing_is_sent(spans: Recorded) -> None:
    with responses.RequestsMock() as mocked:
        mocked.get("http://h/x", body="mocked")
        assert requests.get("http://h/x", headers={"a": "b"}).text == "mocked"
        assert not any(header in mocked.calls[0].request.headers for header in TRACE_HEADERS)
    assert spans == []


def test_a_mock_in_the_place_of_a_response_is_asked_for_nothing_of_ours(spans: Recorded) -> None:
    body = mock.MagicMock(name="body")
    response = urllib3.HTTPResponse(body=body, original_response=body, preload_content=False)
    response.close()
    assert not any(attribute.startswith("_autotrace") for attribute in dir(body))
    assert not any(slot in str(body.mock_calls) for slot in (urllib3_body.SLOT, via_http_client.SLOT))


def test_a_pool_whose_answers_are_mocks(spans: Recorded) -> None:
    pool = urllib3.HTTPConnectionPool("h")
    connection = mock.MagicMock(name="connection")
    connection.getresponse.return_value = mock.MagicMock(status=200, length=None)
    with mock.patch.object(pool, "_get_conn", return_value=connection):
        pool.urlopen("GET", "/x", retries=False, preload_content=False)
    assert tags(spans.one())["http.status_code"] == 200


def test_a_response_class_of_the_program_s(peer: Peer, spans: Recorded) -> None:
    made = mock.MagicMock(name="response", status=204)
    connection = http.client.HTTPConnection("127.0.0.1", peer.port)
    connection.response_class = lambda *args, **kwargs: made  # type: ignore[assignment]
    connection.request("GET", "/x")
    assert connection.getresponse() is made
    assert tags(spans.one())["http.status_code"] == 204
    connection.close()


def test_a_handler_of_the_program_s_that_sends_nothing(spans: Recorded) -> None:
    class Answer(urllib.request.BaseHandler):
        handler_order = 1

        def http_open(self, request: Any) -> Any:
            return mock.MagicMock(code=200, msg="OK")

    assert urllib.request.build_opener(Answer).open("http://h/x").code == 200
    assert spans == []
