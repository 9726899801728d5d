"""The HTTP request in work: one SERVER span, however many layers of servers, middleware and frameworks meet it. Knows none of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.semantics import http
from autotrace.tracing import current, propagate, tracer
from autotrace.tracing.span import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

KEY = "autotrace-request"
"""Context key of the Request in work, so that it goes where the span goes."""

EMPTY = Context()
"""In force where a server has begun to serve a request: whatever was current when the server was started is none of the request's."""


HUNG_UP = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
"""What a server's own writing raises when the client is gone. Servers take the program's for it as well, and say nothing."""


class Request:
    """Open from receive() to end(). `body` is the object that its body is read from, by which the layers know it again."""

    __slots__ = ("answered", "body", "mounted", "place", "span", "target", "token")

    def __init__(self, span: Span, place: str, remote: Remote | None, body: Any) -> None:
        self.span = span
        self.place = place
        self.body = body
        self.mounted = ""
        """The part of the route that outer routers have dealt with."""
        self.target: tuple[str, str] | None = None
        """(method, path) where a layer of another protocol, for which the body is another object, is to know it again."""
        self.answered: int | None = None
        """When the last of the answer was sent, if that is not when the work is done (ns)."""
        self.token: Any = current.enter(span, remote)
        current._fill(current.get(), KEY, self)  # enter() has just made it: nobody else holds it yet

    def leave(self) -> None:
        """The handler has returned: no longer current."""
        token, self.token = self.token, None
        if token is not None:
            current.leave(token)

    def route(self, template: str) -> None:
        """`template`: the path as the program wrote it for its router, with names for what varies."""
        self.span.facts["route"] = self.mounted + template

    def status(self, status: Any) -> None:
        """`status`: a number, or text that starts with one. 1xx only announces. Never raises."""
        try:
            code = int(status[:3] if isinstance(status, str) else status)
            if code >= 200:
                self.span.facts["status"] = code
        except (TypeError, ValueError):  # the server will refuse it
            pass

    def fail(self, error: BaseException) -> None:
        """An exception that nobody handled. SystemExit and the like are no failures of the request. Never raises."""
        try:
            if isinstance(error, Exception):
                self.span.fail(error)
                self.span.facts.setdefault("status", 500)  # what servers answer, unless headers have been sent
        except Exception:
            contained(self.place)

    def answer_sent(self) -> None:
        """What is still to do (background tasks) is not what the client waited for. The first call counts."""
        if self.answered is None:
            self.answered = now()

    def upgraded(self) -> None:
        """The connection speaks another protocol from now on (a websocket): the span was that of the handshake. It stays current."""
        self.span.facts["status"] = 101
        self.span.end()

    def end(self) -> None:
        """Never raises."""
        try:
            self.leave()
            self.span.end(self.answered)
            self.body = None  # a task that goes on with this context for ever shall not hold the connection
        except Exception:
            contained(self.place)


def receive(place: str, facts: dict[str, Any], remote: Remote | None, body: Any) -> Request | None:
    """A request has arrived: its span, current from now on. None: suppressed, or a URL that is left alone."""
    if propagate.is_excluded(facts["url"]):
        return None
    span = tracer.start(http.SERVER, SpanKind.SERVER, facts, None, remote)
    return None if span is None else Request(span, place, remote, body)


def in_work() -> Request | None:
    """The request that is being served here and has not ended."""
    request: Request | None = current.get().get(KEY)
    return None if request is None or request.span.end_time is not None else request


def join(request: Request, body: Any, component: str) -> None:
    """An outer layer has met it already. `component` is closer to the program; `body` is what that reads from."""
    request.body = body
    request.span.facts["component"] = component


def outermost(
    original: Callable[..., Any],
    place: str,
    served: Callable[[Request, tuple[Any, ...]], object] = lambda request, args: None,
    failed: Callable[[Request, BaseException], object] = Request.fail,
) -> Callable[..., Any]:
    """A server's method that serves one request from beginning to end, on a thread of its own.

    Within it, where current.get() is EMPTY, somebody calls receive(); that request ends with the method. served(request, args):
    it returned; failed(request, error): it raised.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        token = current.put(EMPTY)
        try:
            result = original(*args, **kwargs)
            _tell(place, served, args)
            return result
        except BaseException as error:
            _tell(place, failed, error)
            raise
        finally:
            request = in_work()
            if request is not None:
                request.end()
            current.leave(token)

    return call


def _tell(place: str, listener: Callable[[Request, Any], object], what: Any) -> None:
    try:
        request = in_work()
        if request is not None:
            listener(request, what)
    except Exception:
        contained(place)


@lru_cache(maxsize=256)
def host(header: str, scheme: str) -> tuple[str, int | None]:
    """(name, port) of a Host header; the scheme's port where it has none."""
    name, separator, port = header.rpartition(":")
    if not separator or port.endswith("]"):
        name, port = header, ""
    default = 443 if scheme in ("https", "wss") else 80
    return name.strip("[]"), int(port) if port.isascii() and port.isdigit() else default
