"""urllib3's experimental HTTP/2 (2.3 or later), whose bodies arrive whole. Limit: without TLS."""

from __future__ import annotations

from typing import Any

import urllib3
from urllib3.http2.connection import HTTP2Connection

from tests.http_client import http2_peer
from tests.recorded import Recorded, tags


class Plain(HTTP2Connection):
    def connect(self) -> None:
        urllib3.connection.HTTPConnection.connect(self)
        self.is_verified = True  # else it warns
        with self._h2_conn as conn:
            conn.initiate_connection()
            self.sock.sendall(conn.data_to_send())


class Pool(urllib3.HTTPSConnectionPool):
    ConnectionCls: Any = Plain


def test_an_exchange_is_a_span_and_its_headers_go_along(spans: Recorded) -> None:
    with http2_peer.peer() as server, Pool("127.0.0.1", server.port) as pool:
        assert pool.request("GET", "/two", retries=False).status == 200
    assert tags(spans.one())["http.status_code"] == 200
    assert server.received[0]["x-b3-spanid"] == f"{spans[0].span_id:016x}"
