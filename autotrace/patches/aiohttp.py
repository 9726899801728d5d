"""aiohttp's client: one client span per exchange on the wire, redirects and repeats included, until the body ends.

aiohttp reads ahead: a body that fits its buffer has arrived before the program asks for it. A websocket's span covers
its handshake alone. The patch of aiohttp's server is aiohttp_web.
"""

from __future__ import annotations

import sys
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client.call import current_call, enter_call, leave_call
from autotrace.http_client.exchange import Exchange
from autotrace.http_client.server_facts import host_of
from autotrace.patching import Plan, require
from autotrace.tracing import current, propagate
from autotrace.tracing.traced_call import argument, end_failed, end_span, with_argument

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from autotrace.http_client.call import Call
    from autotrace.tracing.span import Span

PLACE = "aiohttp"
LAYER = "aiohttp.http_writer"
"""The layer of a call while the next headers to be written are its own, and not those of a CONNECT to a proxy."""
SLOT = "_autotrace_exchange"
_copy = methodcaller("copy")


def sessions(module: Any, plan: Plan) -> None:
    Session, Connector = require(module, "ClientSession"), require(module, "BaseConnector")
    Request, Response = require(module, "ClientRequest"), require(module, "ClientResponse")
    Writer = require(sys.modules[Request.__module__], "StreamWriter")
    # _request(): every request with all its redirects and repeats, websockets' too. No span: it counts. Its error names
    # the timeout by which an exchange is merely cancelled.
    plan.method(Session, "_request", _request)
    # connect(), send(), start(): one exchange in its three steps. The client span, active in each.
    plan.method(Connector, "connect", _connect, parameters=("req",))
    plan.method(Request, "send", _send)
    plan.method(Response, "start", _start)
    # write_headers(): the last place that has the headers. A copy made here goes to the wire alone.
    plan.method(Writer, "write_headers", _write_headers, parameters=("headers",))
    # The methods that may end a body. The span's end.
    plan.method(Response, "_response_eof", _end_exchange)
    plan.method(Response, "close", _end_exchange)
    plan.method(Response, "release", _end_exchange)
    plan.method(Response, "read", _read)
    plan.method(Response, "__aexit__", _aexit)


def _request(original: Any) -> Any:
    async def _request(*args: Any, **kwargs: Any) -> Any:
        call, token = enter_call(PLACE)
        try:
            return await original(*args, **kwargs)
        except BaseException as error:
            if call is not None and call.span is not None:
                # Cancelled, by the program or by a timeout, of which `error` has the name.
                end_failed(call.span, error, PLACE)
            raise
        finally:
            leave_call(token)
            if call is not None:
                if call.span is not None:
                    end_span(call.span, PLACE)
                # A connection that was made here keeps this context, and must not keep a response by it.
                call.request = call.span = None

    return _request


def _connect(original: Any) -> Any:
    async def connect(*args: Any, **kwargs: Any) -> Any:
        call = current_call.get()
        span = None
        try:
            if call is not None and call.component == PLACE:
                span = _start_exchange(call, argument(args, kwargs, 1, "req"))
        except Exception:
            contained(PLACE)
        if span is None:
            return await original(*args, **kwargs)
        return await _run_in_span(span, original(*args, **kwargs))

    return connect


def _start_exchange(call: Call, request: Any) -> Span | None:
    if call.span is not None:  # a middleware has given up this exchange
        end_span(call.span, PLACE)
    call.url, call.request = str(request.url), request
    return call.start_exchange(request.method)


async def _run_in_span(span: Span, step: Coroutine[Any, Any, Any]) -> Any:
    """One step of an exchange. If cancelled, it leaves the span open, because _request() may know a timeout's name."""
    token = None
    try:
        token = current.enter(span)
    except Exception:
        contained(PLACE)
    try:
        return await step
    except BaseException as error:
        try:
            span.fail(error)
            if isinstance(error, Exception):
                span.end()
        except Exception:
            contained(PLACE)
        raise
    finally:
        if token is not None:
            current.leave(token)


def _call_of(request: Any) -> Any:
    """The call, with a span, whose exchange `request` (or response) is. None for others, such as a proxy's CONNECT."""
    call = current_call.get()
    return call if call is not None and call.span is not None and call.request is request else None


def _send(original: Any) -> Any:
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _call_of(self)
        if call is None:
            return await original(self, *args, **kwargs)
        call.layer = LAYER
        try:
            call.request = response = await _run_in_span(call.span, original(self, *args, **kwargs))
        finally:
            call.layer = None
        return response

    return send


def _write_headers(original: Any) -> Any:
    async def write_headers(*args: Any, **kwargs: Any) -> Any:
        call = current_call.get()
        if call is not None and call.layer == LAYER and call.span is not None:
            try:
                headers = argument(args, kwargs, 2, "headers")
                headers = propagate.injected(headers, call.span, host_of(call.span), _copy)
                args, kwargs = with_argument(args, kwargs, 2, "headers", headers)
            except Exception:
                contained(PLACE)
        return await original(*args, **kwargs)

    return write_headers


def _start(original: Any) -> Any:
    async def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _call_of(self)
        if call is None:
            return await original(self, *args, **kwargs)
        span = call.span
        result = await _run_in_span(span, original(self, *args, **kwargs))
        call.span = None
        try:
            span.facts["status"] = self.status
            if self.content.is_eof():  # the body has arrived, or there is none
                span.end()
            else:
                vars(self)[SLOT] = Exchange(span, PLACE)
        except Exception:
            contained(PLACE)
        return result

    return start


def _end_exchange(original: Any) -> Any:
    def end_exchange(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        if exchange is not None:
            exchange.end(_body_error(self))
        return original(self, *args, **kwargs)

    return end_exchange


def _body_error(response: Any) -> Any:
    """The error that broke off the body. Read before the library's method, which may put an error of its own there."""
    try:
        return response.content.exception()
    except Exception:
        contained(PLACE)
        return None


def _read(original: Any) -> Any:
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).pop(SLOT, None)  # a read that fails calls close(), which does not know the error
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
