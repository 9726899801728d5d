"""ASGI: a server span until the answer is sent; of a websocket, the handshake. Knows no framework and no server."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from autotrace.containment import contained
from autotrace.http_server.asgi_answer import Answer
from autotrace.http_server.request import ROOT_CONTEXT, adopt, current_request, restore, start_request
from autotrace.tracing import propagate
from autotrace.tracing.current import get, put

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from autotrace.http_server.request import Request

    Scope = MutableMapping[str, Any]


class Url(NamedTuple):
    """Fact `url` of an ASGI request. Its text is made (`str`) on the export thread, not while the program waits."""

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


class Identity(NamedTuple):
    """How layers recognise a request: middleware may copy the scope and replace one of these, or copy the headers."""

    headers: Any
    receive: Any


def traced_method(
    original: Callable[..., Any], component: str | Callable[[Any], str], place: str, *, server: bool = False
) -> Callable[..., Any]:
    """A method (self, scope, receive, send) that is an ASGI application, with the request's span around it.

    `component`: a name, or a function of `self`. `server`: the method belongs to a server, so each call starts in a
    root context. Scopes other than http and websocket (lifespan) pass. A call with other arguments raises as without
    the agent: uvicorn calls an application without arguments to see whether it is a factory.
    """

    async def call(self: Any, scope: Any, receive: Any, send: Any, *args: Any, **kwargs: Any) -> Any:
        outer = inner = get()
        request = None
        to = send
        try:
            try:
                try:
                    if server:
                        inner = ROOT_CONTEXT
                        put(inner)
                    if scope["type"] in ("http", "websocket"):
                        name = component if isinstance(component, str) else component(self)
                        request = _start_or_adopt(scope, receive, name, place)
                        if request is not None:
                            inner = request.activate()
                            to = Answer(request, send, place).send
                except Exception:
                    contained(place)
                result = await original(self, scope, receive, to, *args, **kwargs)
                if server or request is not None:
                    put(outer)
            except BaseException as error:
                if server or request is not None:
                    restore(outer, inner, error)
                if request is not None:
                    request.fail(error)
                raise
        except BaseException as error:
            if server or request is not None:
                restore(outer, inner, error)
            if request is not None:
                request.end()
            raise
        if request is not None:
            request.end()
        return result

    return call


def _call(app: Any, scope: Any, receive: Any, send: Any) -> Any:
    return app(scope, receive, send)


def on_init(original: Callable[..., Any], place: str, attribute: str) -> Callable[..., Any]:
    """The __init__ of a server's protocol, which keeps the application in an attribute of its own.

    Server and configuration keep the program's object, because programs read it there.
    """
    traced = traced_method(_call, place, place, server=True)

    def __init__(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        try:
            setattr(args[0], attribute, MethodType(traced, getattr(args[0], attribute)))
        except Exception:
            contained(place)

    return __init__


def _start_or_adopt(scope: Scope, receive: Any, component: str, place: str) -> Request | None:
    """The request of this scope, not active yet. None: an outer layer has started it, or there is no span."""
    headers = scope.get("headers") or ()
    outer = current_request()
    if outer is not None and _is_same_request(outer, headers, receive, scope):
        adopt(outer, outer.identity or Identity(headers, receive), component)
        return None
    scheme = scope.get("scheme") or "http"
    host, agent = _host_and_agent(headers)
    host = host or _address(scope.get("server"))
    method, path = scope.get("method", "GET"), scope.get("path", "")
    url = Url(scheme, host, scope.get("raw_path"), path, scope.get("query_string", b""))
    client, remote, identity = scope.get("client"), propagate.extract_http(headers), Identity(headers, receive)
    caller = client[0] if client else None
    request = start_request(place, component, method, url, scheme, host, caller, agent, remote, identity)
    if request is not None:
        request.target = (method, path)
    return request


def _is_same_request(outer: Request, headers: Any, receive: Any, scope: Scope) -> bool:
    known = outer.identity
    if known is None:
        return True
    if type(known) is not Identity:
        return False
    if known.headers is headers or known.receive is receive:
        return True
    # Starlette's Headers(scope=…) puts a copy into the scope, so middleware that also wraps receive() leaves neither.
    same_target: bool = outer.target == (scope.get("method", "GET"), scope.get("path", ""))
    return same_target and bool(known.headers == headers)


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
