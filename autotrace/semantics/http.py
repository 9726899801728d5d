"""Facts of an HTTP exchange, client or server, and their names in each convention. URLs lose their secrets here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.semantics import peer, url
from autotrace.semantics.family import Family, Row, Tag

if TYPE_CHECKING:
    from collections.abc import Mapping

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))


def _method(raw: Any) -> str:
    """An unknown method is `_OTHER`, as OpenTelemetry says, so that span names stay few."""
    upper = str(raw).upper()
    return upper if upper in _METHODS else "_OTHER"


def _name(facts: Mapping[str, Any], convention: str) -> str:
    method = _method(facts.get("method", ""))
    method = "HTTP" if method == "_OTHER" else method
    route = facts.get("route")
    return method if convention == "opentracing" or not route else f"{method} {route}"


def _status(facts: Mapping[str, Any]) -> int:
    status = facts.get("status")
    return status if isinstance(status, int) else 0


def _client_failure(facts: Mapping[str, Any], convention: str) -> str:
    status = _status(facts)
    return str(status) if status >= (500 if convention == "opentracing" else 400) else ""


def _server_failure(facts: Mapping[str, Any], convention: str) -> str:
    status = _status(facts)
    return str(status) if status >= 500 else ""


_SHARED = (
    Row("component", (Tag("component"),), ()),
    Row("method", (Tag("http.method"),), (Tag("http.request.method", _method),)),
    Row("status", (Tag("http.status_code"),), (Tag("http.response.status_code"),)),
    Row("route", (Tag("http.route"),), (Tag("http.route"),)),
    Row("user_agent", (), (Tag("user_agent.original"),)),
    Row("resend", (Tag("http.request.resend_count"),), (Tag("http.request.resend_count"),)),
)

# Fact `url`: the whole URL, as the program wrote it.
CLIENT = Family(
    "http.client",
    (
        *_SHARED,
        Row("url", (Tag("http.url", url.redacted),), (Tag("url.full", url.redacted),)),
        *peer.ROWS,
    ),
    _name,
    _client_failure,
)

# Fact `url`: as above, rebuilt from the request. `caller`: the client's address. `host`: (name, port) in `Host`.
SERVER = Family(
    "http.server",
    (
        *_SHARED,
        Row(
            "url",
            (Tag("http.url", url.redacted),),
            (
                Tag("url.path", url.path),
                Tag("url.query", url.query),
                Tag("url.scheme", url.scheme),
            ),
        ),
        Row(
            "host", (), (Tag("server.address", lambda pair: pair[0] or None), Tag("server.port", lambda pair: pair[1]))
        ),
        Row(
            "caller",
            (
                # In brackets: Kiali reads a name before the first colon. The empty one of `::6` would match all.
                Tag("peer.address", lambda host: f"[{host}]" if ":" in host else host or None),
                Tag("peer.ipv4", lambda host: host if peer._is_ipv4(host) else None),
                Tag("peer.ipv6", lambda host: host if ":" in host else None),
            ),
            (Tag("client.address"), Tag("network.peer.address", lambda host: host if peer._is_ip(host) else None)),
        ),
    ),
    _name,
    _server_failure,
)
