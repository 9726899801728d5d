"""WSGI (PEP 3333): a server span from the environ to the end of the body. Knows no framework and no server."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from autotrace.containment import contained
from autotrace.http_server.hooks import PendingRequest
from autotrace.http_server.request import adopt, current_request, start_request
from autotrace.http_server.wsgi_body import traced_body
from autotrace.tracing import propagate
from autotrace.tracing.current import get, put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autotrace.http_server.request import Request


class Url(NamedTuple):
    """Fact `url` of a WSGI request. Its text is made (`str`) on the export thread, not while the program waits."""

    scheme: str
    host: str
    raw: str | None
    script: str
    path: str
    query: str

    def __str__(self) -> str:
        target = self.raw
        if not target:
            # WSGI decodes the path: each byte is a character.
            target = quote((self.script + self.path).encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._")
            target = f"{target}?{self.query}" if self.query else target
        return target if "://" in target.partition("?")[0] else f"{self.scheme}://{self.host}{target}"


def start_or_adopt(environ: Mapping[str, Any], component: str, place: str) -> Request | None:
    """The request of this environ, not active yet. None: an outer layer has started it, or there is no span."""
    read = environ.get
    identity = read("wsgi.input")
    outer = current_request()
    if outer is not None and _is_same_request(outer, identity, environ):
        adopt(outer, identity, component)
        return None
    scheme = read("wsgi.url_scheme", "http")
    host = read("HTTP_HOST") or f"{read('SERVER_NAME', '')}:{read('SERVER_PORT', '')}"
    raw = read("RAW_URI") or read("REQUEST_URI")
    method = read("REQUEST_METHOD", "")
    url = Url(scheme, host, raw, read("SCRIPT_NAME", ""), read("PATH_INFO", ""), read("QUERY_STRING", ""))
    caller, agent = read("REMOTE_ADDR") or None, read("HTTP_USER_AGENT")
    remote = propagate.extract_wsgi(environ)
    return start_request(place, component, method, url, scheme, host, caller, agent, remote, identity)


def _is_same_request(outer: Request, identity: Any, environ: Mapping[str, Any]) -> bool:
    """A server that does not know the identity (None) leaves its request to the first application that asks."""
    if outer.identity is identity or outer.identity is None:
        return True
    if outer.target is None:
        return False
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return outer.target == (environ.get("REQUEST_METHOD"), path.encode("latin-1", "replace").decode("utf-8", "replace"))


def traced_method(original: Callable[..., Any], component: str, place: str) -> Callable[..., Any]:
    """A method (self, environ, start_response) that is a WSGI application, with the request's span around it.

    PEP 3333 passes both by position. A call with other arguments raises as without the agent.
    """

    def call(self: Any, environ: Any, start_response: Any, *args: Any, **kwargs: Any) -> Any:
        outer = get()
        request = None
        start = start_response
        try:
            try:
                try:
                    request = start_or_adopt(environ, component, place)
                    if request is not None:
                        context = request.activate()
                        start = _traced_start_response(start_response, request)
                except Exception:
                    contained(place)
                result = original(self, environ, start, *args, **kwargs)
                if request is None:
                    return result
                put(outer)
            except BaseException as error:
                if request is not None:
                    put(outer)
                    request.fail(error)
                raise
        except BaseException:
            if request is not None:
                put(outer)
                request.end()
            raise
        try:
            return _ending_with_body(result, environ, request, context)
        except Exception:
            contained(place)
            request.end()
            return result

    return call


def _traced_start_response(start_response: Any, request: Request) -> Any:
    def start(*args: Any, **kwargs: Any) -> Any:
        request.set_status(args[0] if args else kwargs.get("status"))
        return start_response(*args, **kwargs)

    return start


def on_environ(original: Callable[..., Any], place: str, item: int | None = None) -> Callable[..., Any]:
    """A server's method that makes the environ: the start of the request that hooks.per_request() ends.

    `item`: where in the result the environ stands, if the result is a tuple. Other callers of the method make no span.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            pending = get()
            if type(pending) is PendingRequest:
                pending.request = start_or_adopt(result if item is None else result[item], place, place)
                if pending.request is not None:
                    pending.request.activate()
        except Exception:
            contained(place)
        return result

    return call


def _ending_with_body(result: Any, environ: Mapping[str, Any], request: Request, context: Any) -> Any:
    """The body for the server; the request ends with it. `result` itself wherever the server asks for its type."""
    kind = type(result)
    if kind is list or kind is tuple or not hasattr(kind, "__iter__"):
        # No more code of the program runs. (The server will refuse a result that cannot be iterated.)
        request.end()
        return result
    if _is_file(result, environ.get("wsgi.file_wrapper")):
        _end_with_close(result, request)
        return result
    if hasattr(kind, "__len__") and (isinstance(result, (list, tuple)) or _is_buffer(result)):
        request.end()
        return result
    return traced_body(result, request, context)


def _is_buffer(result: Any) -> bool:
    """bytes and the like: iterated, as PEP 3333 demands, they would be numbers. uWSGI sends them whole."""
    try:
        memoryview(result)
    except TypeError:
        return False
    return True


def _is_file(result: Any, wrapper: Any) -> bool:
    """Is this the server's own file object? The server sends it in a faster way, but only if it comes back as it is."""
    if wrapper is None:
        return False
    if isinstance(wrapper, type):
        return isinstance(result, wrapper)
    # The wrapper is a function. uWSGI's returns the program's file and recognises it by identity; others make a C type.
    return hasattr(result, "read") or (not hasattr(result, "__dict__") and not isinstance(result, GeneratorType))


def _end_with_close(file: Any, request: Request) -> None:
    """The server closes a file when it is sent. Of a type that takes no attribute the end cannot be seen: end here."""
    close = getattr(file, "close", None)

    def close_and_end() -> Any:
        try:
            return close() if close is not None else None
        finally:
            request.end()

    try:
        file.close = close_and_end
    except (AttributeError, TypeError):
        request.end()
