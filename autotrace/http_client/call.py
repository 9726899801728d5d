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
from autotrace.tracing import propagate, tracer

if TYPE_CHECKING:
    from autotrace.tracing.span import Span

_PORTS = {"http": 80, "https": 443}
_PEERS = 1024
"""How many servers are remembered; then all are forgotten."""

_peers: dict[tuple[str, str], SharedFacts] = {}


def start(component: str, method: Any, url: str, resend: int) -> Span | None:
    """The client span of a request for the whole `url`; `resend` counts the sendings before this one. None: suppressed, or excluded."""
    if propagate.is_excluded(url):
        return None
    facts: dict[str, Any] = {"method": method, "url": url}
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


def origin(secure: bool, host: str, port: int | None) -> str:
    """`scheme://host[:port]` of a connection, as the program would write it."""
    scheme = "https" if secure else "http"
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{scheme}://{name}" if port is None or port == _PORTS[scheme] else f"{scheme}://{name}:{port}"


NEXT: Any = object()
ANY: Any = object()


class Call:
    """One request as the program made it, through `component`. `exchanges` counts what went over the wire for it so far.

    `active`: what urllib3 sends now is sent for this call, not by the program for itself. `owner`: who follows redirects.
    `wire`: the connection that an exchange is on at this moment, by which a lower layer knows that it is seen already; NEXT: the
    lower layer's next one is this call's; ANY: whichever.
    `request`: the library's own object for what is sent, where that tells a redirect from another call.
    `span`, `exchange`, `status`: of the last exchange.
    """

    __slots__ = ("active", "component", "exchange", "exchanges", "owner", "request", "span", "status", "url", "wire")

    def __init__(self, component: str, owner: Any, url: str, exchanges: int = 0, active: bool = False) -> None:
        self.component = component
        self.owner = owner
        self.request: Any = None
        self.wire: Any = None
        self.url = url
        self.exchanges = exchanges
        self.active = active
        self.exchange: Exchange | None = None
        self.span: Span | None = None
        self.status = 0


call: ContextVar[Call | None] = ContextVar("autotrace-http-call", default=None)
"""The call in work in this thread or task."""


def enter(component: str) -> tuple[Call | None, Any]:
    """(a call of `component` that is in work from now on, the token for leave()). Never raises."""
    try:
        made = Call(component, None, "")
        return made, call.set(made)
    except Exception:
        contained(component)
        return None, None


def leave(token: Any) -> None:
    """The end of what enter() or call.set() began. Never raises."""
    if token is not None:
        try:
            call.reset(token)
        except ValueError:  # a coroutine that is thrown away may end in another context: nothing to restore there
            pass


def next_span(of: Call, method: Any) -> Span | None:
    """The span of one more exchange of a call, which counts it."""
    span = start(of.component, method, of.url, of.exchanges)
    of.exchanges += 1
    of.span = span
    of.status = 0
    return span


def never_sent(of: Call, method: Any, error: BaseException, started: int) -> None:
    """A span for a call that failed before anything could be sent: no name, no proxy, no tunnel. `started`: ns. Never raises."""
    try:
        span = next_span(of, method)
        if span is not None:
            span.start_time = started
            span.fail(error)
            span.end()
    except Exception:
        contained(of.component)


def sent(names: list[str], span: Span, host: str) -> tuple[list[bool], list[tuple[str, str]]]:
    """For headers that are no mapping: (which of `names` stay, (name, value) to send beside them)."""
    headers: Any = dict.fromkeys(names)
    propagate.inject_http(headers, span, host)
    stay = [headers.get(name, "") is None for name in names]
    return stay, [(name, value) for name, value in headers.items() if value is not None]


def has_no_body(method: Any, status: int, length: Any) -> bool:
    """`length`: what Content-Length says, str or None."""
    return status in (204, 304) or status < 200 or length == "0" or method == "HEAD"


_PROGRAM_S = (GeneratorExit, KeyboardInterrupt, SystemExit)
"""Ends of reading that are not the server's. A cancelled task is told as the error it is."""


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
            if error is not None and not isinstance(error, _PROGRAM_S):
                self.span.fail(error)
            self.span.end()
        except Exception:
            contained(self.place)

    def __del__(self) -> None:
        try:
            self.span.end()
        except Exception:  # so late in the interpreter's life that modules are gone
            pass
