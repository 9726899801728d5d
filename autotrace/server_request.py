"""The HTTP request in work: one SERVER span, however many layers of servers, middleware and frameworks meet it. Knows none of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.semantics import http
from autotrace.tracing import current, tracer

if TYPE_CHECKING:
    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

KEY = "autotrace-request"
"""Context key of the Request in work, so that it goes where the span goes."""


class Request:
    """Open from receive() to end(). `body` is the object that its body is read from, by which the layers know it again."""

    __slots__ = ("body", "place", "span", "token")

    def __init__(self, span: Span, place: str, remote: Remote | None, body: Any) -> None:
        self.span = span
        self.place = place
        self.body = body
        self.token: Any = current.enter(span, remote)
        current._fill(current.get(), KEY, self)  # enter() has just made it: nobody else holds it yet

    def leave(self) -> None:
        """The handler has returned: no longer current."""
        token, self.token = self.token, None
        if token is not None:
            current.leave(token)

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

    def end(self) -> None:
        """Never raises."""
        try:
            self.leave()
            self.span.end()
        except Exception:
            contained(self.place)


def receive(place: str, facts: dict[str, Any], remote: Remote | None, body: Any) -> Request | None:
    """A request has arrived: its span, current from now on. None: suppressed."""
    span = tracer.start(http.SERVER, SpanKind.SERVER, facts, None, remote)
    return None if span is None else Request(span, place, remote, body)


def in_work() -> Request | None:
    """The request that is being served here and has not ended."""
    request: Request | None = current.get().get(KEY)
    return None if request is None or request.span.end_time is not None else request


def join(body: Any, component: str) -> Request | None:
    """The request in work, if `body` is its body: an outer layer has met it already, `component` is closer to the program.

    An outer layer that does not know the body (None) leaves it to the first that asks.
    """
    request = in_work()
    if request is None or (request.body is not body and request.body is not None):
        return None
    request.body = body
    request.span.facts["component"] = component
    return request


@lru_cache(maxsize=256)
def host(header: str, scheme: str) -> tuple[str, int | None]:
    """(name, port) of a Host header; the scheme's port where it has none."""
    name, separator, port = header.rpartition(":")
    if not separator or port.endswith("]"):
        name, port = header, ""
    default = 443 if scheme == "https" else 80
    return name.strip("[]"), int(port) if port.isascii() and port.isdigit() else default
