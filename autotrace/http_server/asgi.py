"""A server span around an ASGI call, until its answer is sent; of a websocket, around the handshake. Knows no framework and no server."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from autotrace.containment import contained
from autotrace.http_server import request as server_request
from autotrace.http_server.request import EMPTY
from autotrace.tracing import current, propagate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from autotrace.http_server.request import Request

    Scope = MutableMapping[str, Any]


class Url(NamedTuple):
    """Fact `url` of an ASGI request. Put together (`str`) when it is exported, not while the program waits."""

    scheme: str
    host: str
    raw: bytes | None
    path: str
    query: bytes

    def __str__(self) -> str:
        target = self.raw.decode("latin-1") if self.raw else quote(self.path, safe="/:@!$&'()*+,;=~-._")
        if self.query and "?" not in target:
            target = f"{target}?{self.query.decode('latin-1')}"
        return f"{self.scheme}://{self.host}{target}"


class Channel(NamedTuple):
    """By what layers know a request again: middleware may copy the scope and replace one of these, hardly ever both."""

    headers: Any
    receive: Any


def served(
    original: Callable[..., Any], component: str | Callable[[Any], str], place: str, *, server: bool = False
) -> Callable[..., Any]:
    """A method (self, scope, receive, send) that is an ASGI application, with the request's span around it.

    `component`: a name, or what makes one of `self`. `server`: it is called by a server, so nothing of what is current belongs to
    the request. Scopes other than http and websocket (lifespan) pass by. What is no ASGI call is refused as without us: uvicorn
    calls an application with nothing, to see whether it is a factory.
    """

    async def call(self: Any, scope: Any, receive: Any, send: Any, *args: Any, **kwargs: Any) -> Any:
        fresh = current.put(EMPTY) if server else None
        request = answer = None
        to = send
        try:
            if scope["type"] in ("http", "websocket"):
                request = _receive(scope, receive, component if isinstance(component, str) else component(self), place)
                if request is not None:
                    answer = Answer(request, send, place)
                    to = answer.send
        except Exception:
            contained(place)
        try:
            return await original(self, scope, receive, to, *args, **kwargs)
        except BaseException as error:
            if request is not None and (answer is None or not answer.hung_up):
                request.fail(error)
            raise
        finally:
            if request is not None:
                request.end()
            if fresh is not None:
                current.leave(fresh)

    return call


def application(app: Any, component: str, place: str) -> Callable[..., Any]:
    """What a server is to call in place of `app`, an ASGI application."""
    return MethodType(served(_call, component, place, server=True), app)


def _call(app: Any, scope: Any, receive: Any, send: Any) -> Any:
    return app(scope, receive, send)


def _receive(scope: Scope, receive: Any, component: str, place: str) -> Request | None:
    """The request of this scope, current from now on; None where an outer layer has it already, or where it is left alone."""
    headers = scope.get("headers") or ()
    outer = server_request.in_work()
    if outer is not None and _is_this(outer, headers, receive):
        server_request.join(outer, outer.body or Channel(headers, receive), component)
        return None
    scheme = scope.get("scheme") or "http"
    host, agent = _host_and_agent(headers)
    host = host or _address(scope.get("server"))
    client = scope.get("client")
    method, path = scope.get("method", "GET"), scope.get("path", "")
    facts = {
        "component": component,
        "method": method,
        "url": Url(scheme, host, scope.get("raw_path"), path, scope.get("query_string", b"")),
        "host": server_request.host(host, scheme),
        "caller": client[0] if client else None,
        "user_agent": agent,
    }
    request = server_request.receive(place, facts, propagate.extract_http(headers), Channel(headers, receive))
    if request is not None:
        request.target = (method, path)
    return request


def _is_this(request: Request, headers: Any, receive: Any) -> bool:
    known = request.body
    return known is None or (type(known) is Channel and (known.headers is headers or known.receive is receive))


def _host_and_agent(headers: Any) -> tuple[str, str | None]:
    host, agent = "", None
    for name, value in headers:
        if name == b"host":
            host = value.decode("latin-1")
        elif name == b"user-agent":
            agent = value.decode("latin-1")
    return host, agent


def _address(server: Any) -> str:
    if not server:
        return ""
    host, port = server[0], server[1]
    return str(host) if port is None else f"{host}:{port}"


class Answer:
    """What the application sends on its way to the server: the status and the end."""

    __slots__ = ("_place", "_request", "_send", "_trailers", "hung_up")

    def __init__(self, request: Request, send: Any, place: str) -> None:
        self._request = request
        self._send = send
        self._place = place
        self._trailers = False
        self.hung_up = False
        """Did the server refuse to send? Then nobody is there, and what follows is no failure."""

    async def send(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result = await self._send(*args, **kwargs)
        except OSError:
            self.hung_up = True
            raise
        try:
            self._note(args[0] if args else kwargs["message"])
        except Exception:
            contained(self._place)
        return result

    def _note(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind in ("http.response.body", "http.response.zerocopysend"):
            if not message.get("more_body") and not self._trailers:
                self._request.answer_sent()
        elif kind in ("http.response.start", "websocket.http.response.start"):
            self._trailers = bool(message.get("trailers"))
            self._request.status(message.get("status"))
        elif kind == "websocket.accept":
            self._request.upgraded()
        elif kind == "websocket.close":
            self._request.status(403)  # before the handshake it is refused so; after it the span has ended
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers")
        ):
            self._request.answer_sent()
