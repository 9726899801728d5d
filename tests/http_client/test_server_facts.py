"""The URL of a connection, and the server that spans name by it."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from autotrace.http_client import via_http_client
from autotrace.http_client.server_facts import server_facts


@pytest.mark.parametrize(
    ("made", "url"),
    [
        (http.client.HTTPConnection("h"), "http://h/x"),
        (http.client.HTTPConnection("h", 80), "http://h/x"),
        (http.client.HTTPConnection("h", 443), "http://h:443/x"),
        (http.client.HTTPSConnection("h"), "https://h/x"),
        (http.client.HTTPSConnection("h", 8443), "https://h:8443/x"),
        (http.client.HTTPConnection("[::1]:8080"), "http://[::1]:8080/x"),
        (http.client.HTTPConnection("::1", 80), "http://[::1]/x"),
    ],
)
def test_the_url_is_as_one_would_write_it(made: Any, url: str) -> None:
    assert via_http_client._url(made, "/x") == url
    facts = server_facts("c", url).facts
    assert facts["remote"] == (made.host, made.port)
