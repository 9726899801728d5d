"""A server span around a WSGI call (PEP 3333), from the environ to the end of the body. Knows no framework and no server."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from autotrace.containment import contained
from autotrace.http_server import request as server_request
from autotrace.http_server.wsgi_body import body
from autotrace.tracing import current, propagate
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autotrace.http_server.request import Request


class Url(NamedTuple):
    """Fact `url` of a WSGI request. Put together (`str`) when it is exported, not while the program waits."""

    scheme: str
    host: str
    raw: str | None
    script: str
    path: str
    query: str

    def __str__(self) -> str:
        target = self.raw
        if not target:
            # WSGI hands over the path decoded, each byte as a character.
            target = quote((self.script + self.path).encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._")
            target = f"{target}?{self.query}" if self.query else target
        return target if "://" in target.partition("?")[0] else f"{self.scheme}://{self.host}{target}"


def receive(environ: Mapping[str, Any], component: str, place: str) -> Request | None:
    """The request of this environ, current from now on; None where an outer layer has it already, or where suppressed."""
    get = environ.get
    body = get("wsgi.input")
    outer = server_request.in_work()
    if outer is not None and _is_this(outer, body, environ):
        server_request.join(outer, body, component)
        return None
    scheme = get("wsgi.url_scheme", "http")
    host = get("HTTP_HOST") or f"{get('SERVER_NAME', '')}:{get('SERVER_PORT', '')}"
    raw = get("RAW_URI") or get("REQUEST_URI")
    facts = {
        "component": component,
        "method": get("REQUEST_METHOD", ""),
        "url": Url(scheme, host, raw, get("SCRIPT_NAME", ""), get("PATH_INFO", ""), get("QUERY_STRING", "")),
        "host": server_request.host(host, scheme),
        "caller": get("REMOTE_ADDR") or None,
        "user_agent": get("HTTP_USER_AGENT"),
    }
    return server_request.receive(place, facts, propagate.extract_wsgi(environ), body)


def _is_this(request: Request, body: Any, environ: Mapping[str, Any]) -> bool:
    """An outer layer that does not know the body (None) leaves the request to the first that asks."""
    if request.body is body or request.body is None:
        return True
    if request.target is None:
        return False
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return request.target == (
        environ.get("REQUEST_METHOD"),
        path.encode("latin-1", "replace").decode("utf-8", "replace"),
    )


def served(original: Callable[..., Any], component: str, place: str) -> Callable[..., Any]:
    """A method (self, environ, start_response) that is a WSGI application, with the request's span around it.

    PEP 3333 has both passed by position. What is no such call is refused as without us.
    """

    def call(self: Any, environ: Any, start_response: Any, *args: Any, **kwargs: Any) -> Any:
        request = None
        start = start_response
        try:
            request = receive(environ, component, place)
            if request is not None:
                context = current.get()
                start = _noting_status(start_response, request)
        except Exception:
            contained(place)
        try:
            result = original(self, environ, start, *args, **kwargs)
        except BaseException as error:
            if request is not None:
                request.fail(error)
                request.end()
            raise
        if request is None:
            return result
        request.leave()
        try:
            return _until_sent(result, environ, request, context)
        except Exception:
            contained(place)
            request.end()
            return result

    return call


def _noting_status(start_response: Any, request: Request) -> Any:
    def start(*args: Any, **kwargs: Any) -> Any:
        request.status(args[0] if args else kwargs.get("status"))
        return start_response(*args, **kwargs)

    return start


def status_of(original: Callable[..., Any], place: str) -> Callable[..., Any]:
    """A server's own method start_response(self, status, …), which tells the status of the request that `place` has opened."""

    def start_response(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            request = server_request.in_work()
            if request is not None and request.place == place:
                request.status(argument(args, kwargs, 1, "status"))
        except Exception:
            contained(place)
        return result

    return start_response


def _until_sent(result: Any, environ: Mapping[str, Any], request: Request, context: Any) -> Any:
    """What goes back to the server in place of `result`: itself where the server looks at what it is."""
    kind = type(result)
    if kind is list or kind is tuple or not hasattr(kind, "__iter__"):
        # Nothing of the program runs any more. (What cannot be iterated, the server will refuse.)
        request.end()
        return result
    if _is_file(result, environ.get("wsgi.file_wrapper")):
        _end_with_close(result, request)
        return result
    if hasattr(kind, "__len__") and (isinstance(result, (list, tuple)) or _is_buffer(result)):
        request.end()
        return result
    return body(result, request, context)


def _is_buffer(result: Any) -> bool:
    """bytes and the like: iterated as PEP 3333 has it they would be numbers; uwsgi sends them whole."""
    try:
        memoryview(result)
    except TypeError:
        return False
    return True


def _is_file(result: Any, wrapper: Any) -> bool:
    """Is this the server's own file object, which it sends in a faster way if it gets it bare?"""
    if wrapper is None:
        return False
    if isinstance(wrapper, type):
        return isinstance(result, wrapper)
    # A function. uwsgi's hands the program's file back, and knows it again by identity; others make a type of theirs, written in C.
    return hasattr(result, "read") or (not hasattr(result, "__dict__") and not isinstance(result, GeneratorType))


def _end_with_close(file: Any, request: Request) -> None:
    """The server closes it when it is sent. A type that takes no attribute ends here: its sending is the server's alone."""
    close = getattr(file, "close", None)

    def closed() -> Any:
        try:
            return close() if close is not None else None
        finally:
            request.end()

    try:
        file.close = closed
    except (AttributeError, TypeError):
        request.end()
