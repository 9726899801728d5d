"""httpx (sync, async, HTTP/2): one client span per exchange on the wire, redirects and authentication included, until the body is read.

Spans are made in httpx's own transports: one of the program's makes none (a mock, an application called in the process), and
one around httpx's that sends again makes one each time. Connecting anew before anything was sent is part of the exchange.
"""

from __future__ import annotations

import sys
from itertools import compress
from typing import TYPE_CHECKING, Any

from autotrace.http_client import call as client_exchange
from autotrace.http_client.call import Call, Exchange
from autotrace.patching import Plan, require
from autotrace.tracing import propagate
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced, traced_await, with_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.tracing.span import Span

PLACE = "httpx"
SLOT = "_autotrace_exchange"


def clients(module: Any, plan: Plan) -> None:
    Transport, AsyncTransport = require(module, "HTTPTransport"), require(module, "AsyncHTTPTransport")
    transports = sys.modules[require(Transport, "handle_request").__module__]  # httpx renames the module of its classes
    Stream, AsyncStream = require(transports, "ResponseStream"), require(transports, "AsyncResponseStream")
    # send(): every request with all its redirects, whatever made it. No span: it counts.
    plan.method(require(module, "Client"), "send", _send)
    plan.method(require(module, "AsyncClient"), "send", _send_async)
    # handle_request(): one request handed to httpcore. The client span.
    plan.method(Transport, "handle_request", _handle_request, parameters=("request",))
    plan.method(AsyncTransport, "handle_async_request", _handle_async_request, parameters=("request",))
    # The stream of a response's body as it comes from httpcore: read to its end, or closed. The span's end.
    plan.method(Stream, "__iter__", _iter)
    plan.method(Stream, "close", _close)
    plan.method(AsyncStream, "__aiter__", _aiter)
    plan.method(AsyncStream, "aclose", _aclose)


def _send(original: Any) -> Any:
    def send(*args: Any, **kwargs: Any) -> Any:
        _, token = client_exchange.enter(PLACE)
        try:
            return original(*args, **kwargs)
        finally:
            client_exchange.leave(token)

    return send


def _send_async(original: Any) -> Any:
    async def send(*args: Any, **kwargs: Any) -> Any:
        _, token = client_exchange.enter(PLACE)
        try:
            return await original(*args, **kwargs)
        finally:
            client_exchange.leave(token)

    return send


def _handle_request(original: Any) -> Any:
    return traced(original, PLACE, _before, _after)


def _handle_async_request(original: Any) -> Any:
    return traced_await(original, PLACE, _before, _after)


def _before(args: Any, kwargs: Any) -> Any:
    request = argument(args, kwargs, 1, "request")
    if request.url.scheme not in ("http", "https") or not request.url.host:
        return None  # httpcore will refuse it
    call = client_exchange.call.get()
    if call is None or call.component != PLACE:  # a transport used by itself
        call = Call(PLACE, None, "")
    call.url = str(request.url)
    span = client_exchange.next_span(call, request.method)
    if span is None:
        return None
    host = client_exchange.host_of(span)
    if propagate.is_target(host):
        args, kwargs = with_argument(args, kwargs, 1, "request", _with_headers(request, span, host))
    return span, args, kwargs


def _with_headers(request: Any, span: Span, host: str) -> Any:
    """A request of ours, with the body of theirs: copy.copy() would lose that."""
    copy = object.__new__(type(request))
    vars(copy).update(vars(request))
    own = request.headers.raw
    stay, added = client_exchange.sent([name.decode("latin-1") for name, _ in own], span, host)
    ours = [(name.encode(), value.encode("latin-1")) for name, value in added]
    copy.headers = type(request.headers)([*compress(own, stay), *ours])
    return copy


def _after(span: Span, response: Any) -> object:
    span.facts["status"] = response.status_code
    length = response.headers.get("content-length")
    if client_exchange.has_no_body(span.facts["method"], response.status_code, length):
        return None
    vars(response.stream)[SLOT] = Exchange(span, PLACE)
    return LEAVE_OPEN


def _iter(original: Any) -> Any:
    def __iter__(self: Any) -> Any:
        parts = original(self)
        exchange = vars(self).get(SLOT)
        return parts if exchange is None else _parts(parts, exchange)

    return __iter__


def _parts(parts: Any, exchange: Exchange) -> Iterator[bytes]:
    try:
        yield from parts
    except BaseException as error:
        exchange.end(error)
        raise
    exchange.end()


def _aiter(original: Any) -> Any:
    def __aiter__(self: Any) -> Any:
        parts = original(self)
        exchange = vars(self).get(SLOT)
        return parts if exchange is None else _AsyncParts(parts, exchange)

    return __aiter__


class _AsyncParts:
    """No generator around a generator: who drops this drops that, and it is closed by the event loop as without us."""

    __slots__ = ("exchange", "parts")

    def __init__(self, parts: Any, exchange: Exchange) -> None:
        self.parts = parts
        self.exchange = exchange

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.parts.__anext__()
        except StopAsyncIteration:
            self.exchange.end()
            raise
        except BaseException as error:
            self.exchange.end(error)
            raise

    def aclose(self) -> Any:
        return self.parts.aclose()


def _close(original: Any) -> Any:
    def close(self: Any) -> Any:
        try:
            return original(self)
        finally:
            _ended(self)

    return close


def _aclose(original: Any) -> Any:
    async def aclose(self: Any) -> Any:
        try:
            return await original(self)
        finally:
            _ended(self)

    return aclose


def _ended(stream: Any) -> None:
    exchange = vars(stream).get(SLOT)
    if exchange is not None:
        exchange.end()
