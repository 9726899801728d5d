"""aiohttp's client: one client span per exchange on the wire, redirects and repeats included, until the body has arrived or is let go.

aiohttp reads ahead: a body that fits its buffer has arrived before the program asks for it. A websocket's span is that of its
handshake. The server is another patch.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client import call as client_exchange
from autotrace.http_client.call import Exchange
from autotrace.patching import Plan, require
from autotrace.tracing import current, propagate
from autotrace.tracing.traced_call import argument, end_failed, end_span, with_argument

if TYPE_CHECKING:
    from autotrace.http_client.call import Call
    from autotrace.tracing.span import Span

PLACE = "aiohttp"
SLOT = "_autotrace_exchange"
HEADERS: Any = object()
"""As Call.wire: the next headers to be written are this call's."""


def sessions(module: Any, plan: Plan) -> None:
    Session, Connector = require(module, "ClientSession"), require(module, "BaseConnector")
    Request, Response = require(module, "ClientRequest"), require(module, "ClientResponse")
    Writer = require(sys.modules[Request.__module__], "StreamWriter")
    # _request(): every request with all its redirects and repeats, websockets' too. No span: it counts, and tells timeouts by name.
    plan.method(Session, "_request", _request)
    # connect(), send(), start(): one exchange in its three steps. The client span, current in each.
    plan.method(Connector, "connect", _connect, parameters=("req",))
    plan.method(Request, "send", _send)
    plan.method(Response, "start", _start)
    # write_headers(): the last place that has the headers, which then are nobody's but the wire's.
    plan.method(Writer, "write_headers", _write_headers, parameters=("headers",))
    # What may end a body. The span's end.
    plan.method(Response, "_response_eof", _ending)
    plan.method(Response, "close", _ending)
    plan.method(Response, "release", _ending)
    plan.method(Response, "read", _read)
    plan.method(Response, "__aexit__", _aexit)


def _request(original: Any) -> Any:
    async def _request(*args: Any, **kwargs: Any) -> Any:
        call, token = client_exchange.enter(PLACE)
        try:
            return await original(*args, **kwargs)
        except BaseException as error:
            if call is not None and call.span is not None:
                # Cancelled, by the program or by a timeout, of which `error` has the name.
                end_failed(call.span, error, PLACE)
            raise
        finally:
            client_exchange.leave(token)
            if call is not None:
                if call.span is not None:
                    end_span(call.span, PLACE)
                # A connection that was made here keeps this context, and must not keep a response by it.
                call.request = call.span = None

    return _request


def _connect(original: Any) -> Any:
    async def connect(*args: Any, **kwargs: Any) -> Any:
        call = client_exchange.call.get()
        span = None
        try:
            if call is not None and call.component == PLACE:
                span = _begun(call, argument(args, kwargs, 1, "req"))
        except Exception:
            contained(PLACE)
        if call is None or span is None:
            return await original(*args, **kwargs)
        return await _step(span, original(*args, **kwargs))

    return connect


def _begun(call: Call, request: Any) -> Span | None:
    if call.span is not None:  # given up by a middleware
        end_span(call.span, PLACE)
    call.url, call.request = str(request.url), request
    return client_exchange.next_span(call, request.method)


async def _step(span: Span, step: Any) -> Any:
    """One step of an exchange, the span current in it. A cancelled one leaves the span open, for who may know the reason."""
    token = None
    try:
        token = current.enter(span)
    except Exception:
        contained(PLACE)
    try:
        return await step
    except BaseException as error:
        _note(span, error)
        raise
    finally:
        if token is not None:
            current.leave(token)


def _note(span: Span, error: BaseException) -> None:
    if isinstance(error, Exception):
        end_failed(span, error, PLACE)
        return
    try:
        span.fail(error)
    except Exception:
        contained(PLACE)


def _pending(request: Any) -> Call | None:
    """The call whose exchange has come to `request` (or response); None for others, such as the CONNECT to a proxy."""
    call = client_exchange.call.get()
    return call if call is not None and call.span is not None and call.request is request else None


def _send(original: Any) -> Any:
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _pending(self)
        if call is None or call.span is None:
            return await original(self, *args, **kwargs)
        call.wire = HEADERS
        try:
            call.request = response = await _step(call.span, original(self, *args, **kwargs))
        finally:
            call.wire = None
        return response

    return send


def _write_headers(original: Any) -> Any:
    async def write_headers(*args: Any, **kwargs: Any) -> Any:
        call = client_exchange.call.get()
        if call is not None and call.wire is HEADERS and call.span is not None:
            try:
                host = client_exchange.host_of(call.span)
                if propagate.is_target(host):
                    headers = argument(args, kwargs, 2, "headers").copy()
                    propagate.inject_http(headers, call.span, host)
                    args, kwargs = with_argument(args, kwargs, 2, "headers", headers)
            except Exception:
                contained(PLACE)
        return await original(*args, **kwargs)

    return write_headers


def _start(original: Any) -> Any:
    async def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _pending(self)
        span = None if call is None else call.span
        if call is None or span is None:
            return await original(self, *args, **kwargs)
        result = await _step(span, original(self, *args, **kwargs))
        call.span = None
        try:
            span.facts["status"] = self.status
            if self.content.is_eof():  # a body that has arrived, or none
                span.end()
            else:
                vars(self)[SLOT] = Exchange(span, PLACE)
        except Exception:
            contained(PLACE)
        return result

    return start


def _ending(original: Any) -> Any:
    def ending(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        if exchange is not None:
            exchange.end(_broken(self))
        return original(self, *args, **kwargs)

    return ending


def _broken(response: Any) -> Any:
    """What broke the body off. To be asked before the library notes there that the program has let go of it."""
    try:
        return response.content.exception()
    except Exception:
        contained(PLACE)
        return None


def _read(original: Any) -> Any:
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).pop(SLOT, None)  # close(), by which a failing read ends, does not know what failed
        if exchange is None:
            return await original(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            exchange.end(error)
            raise
        exchange.end()
        return result

    return read


def _aexit(original: Any) -> Any:
    async def __aexit__(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        error = argument(args, kwargs, 1, "exc_val")
        if exchange is not None and type(error).__name__ == "CancelledError":
            exchange.end(error)
        return await original(self, *args, **kwargs)

    return __aexit__
