"""aiohttp's client: one client span per exchange on the wire, redirects and repeats included, until the body ends.

aiohttp reads ahead: a body that fits its buffer has arrived before the program asks for it. A websocket's span covers
its handshake alone. The patch of aiohttp's server is aiohttp_web.
"""

from __future__ import annotations

import sys
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client import aiohttp_body
from autotrace.http_client.aiohttp_body import PLACE, SLOT
from autotrace.http_client.call import current_call, leave_call, new_call
from autotrace.http_client.exchange import Exchange
from autotrace.http_client.program_headers import lower_names
from autotrace.http_client.server_facts import host_of
from autotrace.patching import Plan, require
from autotrace.tracing import propagate
from autotrace.tracing.current import enter, get, put, span_of
from autotrace.tracing.traced_call import argument, end_failed, end_span, with_argument

if TYPE_CHECKING:
    from autotrace.http_client.call import Call
    from autotrace.tracing.span import Span

LAYER = "aiohttp.http_writer"
"""The layer of a call while the next headers to be written are its own, and not those of a CONNECT to a proxy."""
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
    for name in ("_response_eof", "close", "release"):
        plan.method(Response, name, aiohttp_body.wrap_end)
    plan.method(Response, "read", aiohttp_body.wrap_read)
    plan.method(Response, "__aexit__", aiohttp_body.wrap_exit)


def _request(original: Any) -> Any:
    async def _request(*args: Any, **kwargs: Any) -> Any:
        outer, call = current_call.get(), new_call(PLACE)
        try:
            try:
                current_call.set(call)
                response = await original(*args, **kwargs)
                leave_call(call, outer)
            except BaseException as error:
                leave_call(call, outer)
                # Cancelled, by the program or by a timeout, of which `error` has the name.
                _end_call(call, error)
                raise
        except BaseException:  # for an interruption of the lines above
            leave_call(call, outer)
            raise
        _end_call(call, None)
        return response

    return _request


def _end_call(call: Call | None, error: BaseException | None) -> None:
    """A connection that was made for the call keeps its context, and must not keep a response by it."""
    if call is not None:
        if call.span is not None and error is not None:
            end_failed(call.span, error, PLACE)
        elif call.span is not None:
            end_span(call.span, PLACE)
        call.request = call.span = None


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
        return await _run_in_span(span, original, args, kwargs)

    return connect


def _start_exchange(call: Call, request: Any) -> Span | None:
    if call.span is not None:  # a middleware has given up this exchange
        end_span(call.span, PLACE)
    call.url, call.request = str(request.url), request
    return call.start_exchange(request.method, lower_names(request.headers), request.headers)


async def _run_in_span(span: Span, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One step of an exchange. If cancelled, it leaves the span open, because _request() may know a timeout's name."""
    outer = get()
    try:
        try:
            try:
                enter(span)
            except Exception:
                contained(PLACE)
            result = await step(*args, **kwargs)
            _restore(outer, span)
        except BaseException as error:
            _restore(outer, span)
            _note(span, error)
            raise
    except BaseException:  # for an interruption of the lines above
        _restore(outer, span)
        raise
    return result


def _restore(outer: Any, span: Span) -> None:
    """Nothing to do in another context, where a coroutine that is thrown away may end."""
    if span_of(get()) is span:
        put(outer)


def _note(span: Span, error: BaseException) -> None:
    try:
        span.fail(error)
        if isinstance(error, Exception):
            span.end()
    except Exception:
        contained(PLACE)


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
            call.request = response = await _run_in_span(call.span, original, (self, *args), kwargs)
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
        result = await _run_in_span(span, original, (self, *args), kwargs)
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
