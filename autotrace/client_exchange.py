"""HTTP clients: a call of the program's, and each exchange on the wire that it takes, a span until the body is read. Knows no library.

Where one library calls another (requests: urllib3), the upper one says what is called, the lower one sees the exchanges.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.semantics import http
from autotrace.semantics.family import SharedFacts
from autotrace.tracing import tracer

if TYPE_CHECKING:
    from autotrace.tracing.span import Span

_PORTS = {"http": 80, "https": 443}
_PEERS = 1024
"""How many servers are remembered; then all are forgotten."""

_peers: dict[tuple[str, str], SharedFacts] = {}


def start(component: str, method: Any, url: str, resend: int) -> Span | None:
    """The client span of a request for the whole `url`; `resend` counts the sendings before this one. None: suppressed."""
    facts = {"method": method, "url": url}
    if resend:
        facts["resend"] = resend
    return tracer.start(http.CLIENT, SpanKind.CLIENT, facts, peer(component, url))


def peer(component: str, url: str) -> SharedFacts:
    """What all requests of a client library to one server have in common."""
    end = url.find("/", url.find("://") + 3)
    origin = url if end < 0 else url[:end]
    known = _peers.get((component, origin))
    if known is None:
        if len(_peers) >= _PEERS:
            _peers.clear()
        known = _peers[component, origin] = SharedFacts(_facts(component, origin))
    return known


def _facts(component: str, origin: str) -> dict[str, Any]:
    try:
        parts = urlsplit(origin)
        port = parts.port or _PORTS.get(parts.scheme)
        host = parts.hostname or ""
    except ValueError:
        host, port = "", None
    if port is None or not host:  # a scheme of the program's own (a unix socket): nobody to show on a graph
        return {"component": component, "remote": ("", None)}
    return {"component": component, "remote": (host, port), "service": host}


def host_of(span: Span) -> str:
    """The host that `span` calls, as AUTOTRACE_PROPAGATION_TARGETS names it."""
    return span.shared.facts["remote"][0] if span.shared is not None else ""


class Call:
    """One request as the program made it. `exchanges` counts what went over the wire for it so far.

    `active`: an exchange made now is made for this call, not by the program for itself. `owner`: who follows redirects.
    `span`, `exchange`, `status`: of the last exchange.
    """

    __slots__ = ("active", "exchange", "exchanges", "owner", "span", "status", "url")

    def __init__(self, owner: Any, url: str, exchanges: int = 0) -> None:
        self.owner = owner
        self.url = url
        self.exchanges = exchanges
        self.active = True
        self.exchange: Exchange | None = None
        self.span: Span | None = None
        self.status = 0


call: ContextVar[Call | None] = ContextVar("autotrace-http-call", default=None)
"""The call in work in this thread or task."""


class Exchange:
    """Ends its span once: when the body is read or closed, or when nobody holds the response any more.

    Whatever stands for the response must be its only owner in the long run: being dropped counts as the end.
    """

    __slots__ = ("place", "span")

    def __init__(self, span: Span, place: str) -> None:
        self.span = span
        self.place = place

    def end(self, error: BaseException | None = None) -> None:
        """Never raises. `error`: what reading the body raised."""
        try:
            if error is not None and isinstance(error, Exception):  # GeneratorExit, KeyboardInterrupt: not the server's
                self.span.fail(error)
            self.span.end()
        except Exception:
            contained(self.place)

    def __del__(self) -> None:
        try:
            self.span.end()
        except Exception:  # so late in the interpreter's life that modules are gone
            pass
