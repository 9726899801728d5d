"""The server of an HTTP call: the facts that all spans of one library share for it. Reads URLs, knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autotrace.semantics.family import SharedFacts

if TYPE_CHECKING:
    from autotrace.tracing.span import Span

_PORTS = {"http": 80, "https": 443}
_SERVERS = 1024
"""How many servers are remembered; then all are forgotten."""

_facts: dict[tuple[str, str], SharedFacts] = {}


def server_facts(component: str, url: str) -> SharedFacts:
    """The shared facts of the client spans that the library `component` makes for the server of `url`."""
    end = url.find("/", url.find("://") + 3)
    server = url if end < 0 else url[:end]
    facts = _facts.get((component, server))
    if facts is None:
        if len(_facts) >= _SERVERS:
            _facts.clear()
        facts = _facts[component, server] = SharedFacts(_read(component, server))
    return facts


def _read(component: str, server: str) -> dict[str, Any]:
    try:
        parts = urlsplit(server)
        port = parts.port or _PORTS.get(parts.scheme)
        host = parts.hostname or ""
    except ValueError:
        host, port = "", None
    if port is None or not host:  # a scheme of the program's own (a unix socket) names no server to show on a graph
        return {"component": component, "remote": ("", None)}
    return {"component": component, "remote": (host, port), "service": host}


def host_of(span: Span) -> str:
    """The host that `span` calls, as AUTOTRACE_PROPAGATION_TARGETS names it."""
    return span.shared.facts["remote"][0] if span.shared is not None else ""


def origin(secure: bool, host: str, port: int | None) -> str:
    """`scheme://host[:port]` of a connection, as the program would write it."""
    scheme = "https" if secure else "http"
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{scheme}://{name}" if port is None or port == _PORTS[scheme] else f"{scheme}://{name}:{port}"
