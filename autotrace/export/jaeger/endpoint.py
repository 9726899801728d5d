"""Where spans for Jaeger go: the settings read as a collector's URL or an agent's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from autotrace.containment import say
from autotrace.semantics.url import redacted

if TYPE_CHECKING:
    from autotrace.settings import Settings

PATH = "/api/traces"
DEFAULT_URL = f"http://localhost:14268{PATH}"
COMPACT_PORT, BINARY_PORT = 6831, 6832


class Collector(NamedTuple):
    """It takes one Batch, in binary Thrift, in each POST."""

    url: str


class Agent(NamedTuple):
    """It takes one Agent.emitBatch in each UDP packet."""

    host: str
    port: int

    @property
    def binary(self) -> bool:
        """Jaeger's convention: 6832 speaks the binary protocol, any other port the compact one."""
        return self.port == BINARY_PORT


def endpoint(settings: Settings) -> Collector | Agent:
    """The setting `endpoint`; without it the agent, if its host is set; else the default URL.

    A bad endpoint is one line on stderr, and the default URL is used.
    """
    if settings.endpoint:
        try:
            return parse(settings.endpoint)
        except ValueError as wrong:
            name = settings.chosen.get("endpoint", "endpoint")
            say(f"{name}={redacted(settings.endpoint)!r}: {wrong}; {DEFAULT_URL} is used")
            return Collector(DEFAULT_URL)
    if settings.agent_host:
        return Agent(settings.agent_host, settings.agent_port)
    return Collector(DEFAULT_URL)


def parse(text: str) -> Collector | Agent:
    """`http(s)://host[:port][/path]` or `udp://host[:port]`. The ValueError for any other text has the reason."""
    parts = urlsplit(text.strip())
    port = parts.port  # raises ValueError for a bad port
    if parts.scheme not in ("http", "https", "udp") or not parts.hostname:
        raise ValueError("it must look like http://host:14268/api/traces or udp://host:6831")
    if parts.scheme == "udp":
        if parts.path.strip("/"):
            raise ValueError("a udp:// endpoint has no path")
        return Agent(parts.hostname, COMPACT_PORT if port is None else port)
    path = parts.path if parts.path.strip("/") else PATH
    return Collector(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))
