"""The HTTP request being served: one server span, whatever servers, middleware and frameworks it passes. Knows none."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.semantics import http
from autotrace.tracing import current, propagate, tracer
from autotrace.tracing.span import now

if TYPE_CHECKING:
    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

KEY = "autotrace-request"
"""Context key of the Request, so that it goes wherever its span goes."""

ROOT_CONTEXT = Context()
"""A server starts each request in this empty context, so that no span from the server's start-up becomes the parent."""

CLIENT_DISCONNECTED = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
"""The server's writing raises these when the client is gone. Servers ignore them, even when the program raised them."""


class Request:
    """Open from start_request() to end(). `identity`: the object by which an inner layer recognises the request."""

    __slots__ = ("answer_time", "identity", "is_disconnected", "mount", "place", "remote", "span", "target")

    def __init__(self, span: Span, place: str, remote: Remote | None, identity: Any) -> None:
        self.span = span
        self.place = place
        self.remote = remote
        self.identity = identity
        self.mount = ""
        """The part of the route that outer routers have matched."""
        self.target: tuple[str, str] | None = None
        """(method, path): how a layer of another protocol, which sees other objects, recognises the request."""
        self.is_disconnected = False
        """Did the server refuse to send? Then the client is gone, and exceptions after that are no failures."""
        self.answer_time: int | None = None
        """When the last part of the answer was sent (ns), if work goes on after it."""

    def activate(self) -> Context:
        """The span is active from now on, in the context that is returned. The caller restores the one before.

        So it takes that one first and keeps the request: whatever interrupts this code, it can restore and end.
        """
        current.enter(self.span, self.remote)
        context: Context = current.get()
        current._fill(context, KEY, self)  # enter() has just made this context: nobody else holds it yet
        return context

    def rejoin(self) -> None:
        """A framework's own telemetry has attached a context that it made from the headers: stay known within it.

        That context is not shared yet. Its span stays the current one. If it begins a trace, this request moves there.
        """
        context = current.get()
        if context.get(KEY) is self:
            return
        current._fill(context, KEY, self)
        if self.remote is not None and self.remote.forwarded:
            current._fill(context, current.FORWARD_KEY, self.remote.forwarded)
        theirs = trace.get_current_span(context).get_span_context()
        if not theirs.is_valid:
            current._fill(context, current.SPAN_KEY, self.span)
        elif theirs.trace_id != self.span.trace_id and not self.span.parent_id:
            self._restart()

    def _restart(self) -> None:
        """The span anew, a child of the current one. The first one is forgotten."""
        first = self.span
        span = tracer.start(http.SERVER, SpanKind.SERVER, first.facts)
        if span is not None:
            span.start_time = first.start_time or span.start_time
            first.end_time = 0
            self.span = span

    def set_route(self, template: str) -> None:
        """`template`: the path as the program wrote it for its router, with names for the parts that vary."""
        self.span.facts["route"] = self.mount + template

    def set_status(self, status: Any) -> None:
        """`status`: a number, or text that starts with one. 1xx announces an answer and is ignored. Never raises."""
        try:
            code = int(status[:3] if isinstance(status, str) else status)
            if code >= 200:
                self.span.facts["status"] = code
        except (TypeError, ValueError):  # the server will refuse it
            pass

    def fail(self, error: BaseException) -> None:
        """Note an exception that nobody handled. SystemExit and the like are no failures of a request. Never raises."""
        try:
            if isinstance(error, Exception) and not self.is_disconnected:
                self.span.fail(error)
                self.span.facts.setdefault("status", 500)  # servers answer so, unless headers have been sent
        except Exception:
            contained(self.place)

    def answer_sent(self) -> None:
        """The client waits no longer: background tasks are not part of the span's time. The first call counts."""
        if self.answer_time is None:
            self.answer_time = now()

    def upgrade(self) -> None:
        """The connection becomes a websocket: the span was that of the handshake and ends, but stays active."""
        self.span.facts["status"] = 101
        self.span.end()

    def end(self) -> None:
        """Never raises."""
        try:
            self.span.end(self.answer_time)
            self.identity = None  # a task that keeps this context for ever must not keep the connection alive
        except Exception:
            contained(self.place)


def start_request(
    place: str,
    component: str,
    method: str,
    url: object,
    scheme: str,
    host: str,
    caller: str | None,
    user_agent: str | None,
    remote: Remote | None,
    identity: Any,
) -> Request | None:
    """A request has arrived: its span, running, not active yet. None: tracing is suppressed, or the URL is excluded.

    `url`: text, or an object whose str() is the URL. `host`: the Host header. `caller`: the client's address.
    """
    if propagate.is_excluded(url):
        return None
    facts = {
        "component": component,
        "method": method,
        "url": url,
        "host": host_and_port(host, scheme),
        "caller": caller,
        "user_agent": user_agent,
    }
    span = tracer.start(http.SERVER, SpanKind.SERVER, facts, None, remote)
    return None if span is None else Request(span, place, remote, identity)


def current_request() -> Request | None:
    """The request of the current context, unless its span has ended."""
    request: Request | None = current.get().get(KEY)
    return None if request is None or request.span.end_time is not None else request


def restore(outer: Context, inner: Context, error: BaseException) -> None:
    """After a coroutine was interrupted by `error`: make `outer` the current context again, which was before `inner`.

    The garbage collector closes an abandoned coroutine in a context that is not its own. There is nothing to restore.
    """
    if type(error) is not GeneratorExit or current.get() is inner:
        current.put(outer)


def adopt(request: Request, identity: Any, component: str) -> None:
    """An inner layer meets the request that an outer one has started. `component` is closer to the program."""
    request.identity = identity
    request.span.facts["component"] = component


@lru_cache(maxsize=256)
def host_and_port(header: str, scheme: str) -> tuple[str, int | None]:
    """(name, port) of a Host header; the scheme's port where the header has none."""
    name, separator, port = header.rpartition(":")
    if not separator or port.endswith("]"):
        name, port = header, ""
    default = 443 if scheme in ("https", "wss") else 80
    return name.strip("[]"), int(port) if port.isascii() and port.isdigit() else default
