"""httpx (sync, async, HTTP/2): one client span per exchange, redirects and challenges included, until the body is read.

Spans are made in httpx's own transports. A transport of the program's makes none itself (a mock, an application called
in the process); if it sends again through httpx's, each time is a span. Another attempt to connect is no new exchange.
"""

from __future__ import annotations

import sys
from itertools import compress
from typing import TYPE_CHECKING, Any

from autotrace.http_client.call import Call, current_call, leave_call, new_call, wrap_call
from autotrace.http_client.exchange import Exchange, has_no_body, header_changes, wrap_close
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced, traced_await, with_argument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from autotrace.tracing.span import Span

PLACE = "httpx"
SLOT = "_autotrace_exchange"


def clients(module: Any, plan: Plan) -> None:
    Transport, AsyncTransport = require(module, "HTTPTransport"), require(module, "AsyncHTTPTransport")
    transports = sys.modules[require(Transport, "handle_request").__module__]  # httpx renames the module of its classes
    Stream, AsyncStream = require(transports, "ResponseStream"), require(transports, "AsyncResponseStream")
    # send(): every request with all its redirects, by whichever function it was made. No span: it counts.
    plan.method(require(module, "Client"), "send", wrap_call(PLACE, lambda args, kwargs: Call(PLACE)))
    plan.method(require(module, "AsyncClient"), "send", _send_async)
    # handle_request(): one request handed to httpcore. The client span.
    for transport, name, trace in (
        (Transport, "handle_request", traced),
        (AsyncTransport, "handle_async_request", traced_await),
    ):
        plan.method(transport, name, _handle_request(trace), parameters=("request",))
    # The stream of a response's body as it comes from httpcore: read to its end, or closed. The span's end.
    plan.method(Stream, "__iter__", _wrap_parts)
    plan.method(Stream, "close", wrap_close(SLOT))
    plan.method(AsyncStream, "__aiter__", _wrap_async_parts)
    plan.method(AsyncStream, "aclose", _aclose)


def _send_async(original: Any) -> Any:
    async def send(*args: Any, **kwargs: Any) -> Any:
        outer, call = current_call.get(), new_call(PLACE)
        try:
            try:
                current_call.set(call)
                response = await original(*args, **kwargs)
            finally:
                leave_call(call, outer)
        finally:  # for an interruption of the line above
            leave_call(call, outer)
        return response

    return send


def _handle_request(trace: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda original: trace(original, PLACE, _before, _after)


def _before(args: Any, kwargs: Any) -> Any:
    request = argument(args, kwargs, 1, "request")
    if _is_mocked(args[0]):
        return None
    if request.url.scheme not in ("http", "https") or not request.url.host:
        return None  # httpcore will refuse it
    call = current_call.get()
    if call is None or call.component != PLACE:  # a transport that the program uses without a client
        call = Call(PLACE)
    call.url = str(request.url)
    headers = request.headers.raw
    names = [name.decode("latin-1").lower() for name, _ in headers]
    span = call.start_exchange(request.method, names, headers)
    if span is None:
        return None
    return span, *with_argument(args, kwargs, 1, "request", _injected(request, names, span))


def _is_mocked(transport: Any) -> bool:
    """Has somebody (respx) put a function of another name in the place of httpcore's? Nothing is sent then."""
    pool = type(getattr(transport, "_pool", None))
    handle = getattr(pool, "handle_request", None) or getattr(pool, "handle_async_request", None)
    return handle is not None and getattr(handle, "__name__", "") not in ("handle_request", "handle_async_request")


def _injected(request: Any, names: list[str], span: Span) -> Any:
    """A copy with new headers and the same body, which copy.copy() loses. The request itself if its host is no target.

    `names`: those of its headers, lower-case.
    """
    changes = header_changes(names, span)
    if changes is None:
        return request
    stay, added = changes
    copy = object.__new__(type(request))
    vars(copy).update(vars(request))
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in added]
    copy.headers = type(request.headers)([*compress(request.headers.raw, stay), *pairs])
    return copy


def _after(span: Span, response: Any) -> object:
    span.facts["status"] = response.status_code
    if has_no_body(span.facts["method"], response.status_code, response.headers.get("content-length")):
        return None
    vars(response.stream)[SLOT] = Exchange(span, PLACE)
    return LEAVE_OPEN


def _wrap_parts(original: Any) -> Any:
    def __iter__(self: Any) -> Iterator[bytes]:
        exchange = vars(self).get(SLOT)
        try:
            yield from original(self)
        except BaseException as error:
            if exchange is not None:
                exchange.end(error)
            raise
        if exchange is not None:
            exchange.end()

    return __iter__


def _wrap_async_parts(original: Any) -> Any:
    async def __aiter__(self: Any) -> AsyncIterator[bytes]:
        exchange, parts = vars(self).get(SLOT), original(self)
        try:
            async for part in parts:
                yield part
        except BaseException as error:
            if exchange is not None:
                exchange.end(error)
            raise
        finally:
            await parts.aclose()
        if exchange is not None:
            exchange.end()

    return __aiter__


def _aclose(original: Any) -> Any:
    async def aclose(self: Any) -> Any:
        try:
            return await original(self)
        finally:
            exchange = vars(self).get(SLOT)
            if exchange is not None:
                exchange.end()

    return aclose
