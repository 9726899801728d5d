"""requests: one client span per exchange on the wire, each redirect and each retry of urllib3's its own, until the body is read.

Spans are made where urllib3 sends a request on behalf of requests, so that nothing is counted twice and nothing that was
never sent (a cache, a mock) is counted. An adapter of the program's that does not go through urllib3 makes no span.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from typing import Any

from autotrace import client_exchange
from autotrace.client_exchange import Call, Exchange
from autotrace.containment import contained
from autotrace.patching import Plan, require
from autotrace.tracing import boundary, current
from autotrace.tracing.around import KEEP, argument, traced, with_argument

PLACE = "requests"
SLOT = "_autotrace_exchange"
REDIRECTS = frozenset((301, 302, 303, 307, 308))


def sessions(module: Any, plan: Plan) -> None:
    Session, Adapter = require(module, "Session"), require(module, "HTTPAdapter")
    adapters = sys.modules[Adapter.__module__]
    urllib3 = require(adapters, "PoolManager").__module__.rpartition(".")[0]  # old versions carry their own
    Pool = require(sys.modules[f"{urllib3}.connectionpool"], "HTTPConnectionPool")
    Response = require(sys.modules[f"{urllib3}.response"], "HTTPResponse")
    unreachable = require(adapters, "ConnectionError")
    # Session.send(): every request and, within the first one's, every redirect. No span: it says what is called, and counts.
    plan.method(Session, "send", _session_send, parameters=("request",))
    # HTTPAdapter.send(): one request handed to urllib3, those sent again by authentication too. A span only for a failure
    # before anything could be sent (no proxy, no tunnel).
    plan.method(Adapter, "send", lambda original: _adapter_send(original, unreachable), parameters=("request",))
    # _make_request(): one attempt on one connection, the last place that has the headers as a mapping. The client span.
    plan.method(Pool, "_make_request", _make_request, parameters=("conn", "method", "url"))
    # _error_catcher(): around every read of a body from the wire; close(): when the program has had enough. The span's end.
    plan.method(Response, "_error_catcher", _error_catcher)
    plan.method(Response, "close", _close)


def _session_send(original: Any) -> Any:
    def send(*args: Any, **kwargs: Any) -> Any:
        call = outer = None
        try:
            call, outer = _session_call(args, kwargs)
        except Exception:
            contained(PLACE)
        token = client_exchange.call.set(call)
        try:
            return original(*args, **kwargs)
        except BaseException:
            if call is not None and call.exchange is not None:
                call.exchange.end()  # the response is lost with the exception (a hook's, say)
            raise
        finally:
            client_exchange.call.reset(token)
            if outer is not None and call is not None:
                outer.exchanges, outer.status = call.exchanges, call.status

    return send


def _session_call(args: Any, kwargs: Any) -> tuple[Call | None, Call | None]:
    """(the call, the call whose redirect it follows)"""
    url = getattr(argument(args, kwargs, 1, "request"), "url", None)
    if not isinstance(url, str):
        return None, None  # not a prepared request: send() says so
    session = args[0] if args else None
    outer = client_exchange.call.get()
    # A redirect is sent by the session itself, from within the send() of what was redirected.
    if (
        outer is None
        or outer.status not in REDIRECTS
        or outer.owner is not session
        or kwargs.get("allow_redirects") is not False
    ):
        return Call(session, url), None
    return Call(session, url, outer.exchanges), outer


def _adapter_send(original: Any, unreachable: Any) -> Any:
    # requests < 2.29 sends a body of unknown length by itself, past the pool.
    by_itself = "putrequest" in getattr(getattr(original, "__code__", None), "co_names", ())
    bodies = traced(original, PLACE, _before_body, _after_body)

    def send(*args: Any, **kwargs: Any) -> Any:
        request = argument(args, kwargs, 1, "request")
        call = token = None
        try:
            call, token = _adapter_call(request)
        except Exception:
            contained(PLACE)
        if call is None:
            return original(*args, **kwargs)
        started, before = time.time_ns(), call.exchanges
        try:
            if by_itself and _of_unknown_length(request):
                return _send_body(bodies, request, args, kwargs)
            return original(*args, **kwargs)
        except unreachable as error:
            if call.exchanges == before:
                _never_sent(call, request, error, started)
            raise
        finally:
            call.active = False
            if token is not None:
                client_exchange.call.reset(token)

    return send


def _adapter_call(request: Any) -> tuple[Call | None, Any]:
    """(the call in work, which goes on here; or one for an adapter used without a session, and the token to end it with)"""
    url = getattr(request, "url", None)
    if not isinstance(url, str):
        return None, None
    call = client_exchange.call.get()
    if call is not None:
        call.active, call.url = True, url
        return call, None
    call = Call(None, url)
    return call, client_exchange.call.set(call)


def _never_sent(call: Call, request: Any, error: Any, started: int) -> None:
    try:
        span = client_exchange.start(PLACE, request.method, call.url, call.exchanges)
        if span is not None:
            span.start_time = started
            # MaxRetryError repeats the URL, secrets included; its reason does not.
            span.fail(getattr(error.args[0] if error.args else None, "reason", None) or error)
            span.end()
    except Exception:
        contained(PLACE)


def _of_unknown_length(request: Any) -> bool:
    try:
        return request.body is not None and "Content-Length" not in request.headers
    except Exception:
        return False


def _send_body(bodies: Any, request: Any, args: Any, kwargs: Any) -> Any:
    """What is sent is a copy; what the program gets back refers to its own request."""
    try:
        response = bodies(*args, **kwargs)
    except Exception as error:
        if getattr(error, "request", None) is not None:
            error.request = request  # type: ignore[attr-defined]
        raise
    response.request = request
    return response


def _before_body(args: Any, kwargs: Any) -> Any:
    call = client_exchange.call.get()
    request = argument(args, kwargs, 1, "request")
    span = None if call is None else _span(call, request.method)
    if span is None:
        return None
    copy = request.copy()
    boundary.into_http(copy.headers, span, client_exchange.host_of(span))
    return span, *with_argument(args, kwargs, 1, "request", copy)


def _make_request(original: Any) -> Any:
    return traced(original, PLACE, _before_attempt, _after_attempt)


def _before_attempt(args: Any, kwargs: Any) -> Any:
    call = client_exchange.call.get()
    if call is None or not call.active:
        return None
    if call.span is not None and current.get().get(current.SPAN_KEY) is call.span:
        return None  # the program's own use of urllib3, from within the body that is being sent
    span = _span(call, argument(args, kwargs, 2, "method"))
    if span is None:
        return None
    if "headers" in kwargs:
        host = client_exchange.host_of(span)
        if boundary.is_target(host):
            headers = _copied(kwargs["headers"])
            boundary.into_http(headers, span, host)
            kwargs = {**kwargs, "headers": headers}
    return span, args, kwargs


def _copied(headers: Any) -> Any:
    """A mapping for urllib3 to send. A third of the price for requests' own CaseInsensitiveDict, and names keep their case."""
    store = getattr(headers, "_store", None)
    if type(store) is OrderedDict:  # lower-case name -> (name, value)
        return dict(store.values())
    return {} if headers is None else headers.copy()


def _span(call: Call, method: Any) -> Any:
    span = client_exchange.start(PLACE, method, call.url, call.exchanges)
    call.exchanges += 1
    call.span = span
    call.status = 0
    return span


def _after_body(span: Any, response: Any) -> object:
    return _after_attempt(span, response.raw)


def _after_attempt(span: Any, response: Any) -> object:
    """`response`: urllib3's, or http.client's (urllib3 < 2). The exchange hangs on the latter, which is there in both."""
    call = client_exchange.call.get()
    span.facts["status"] = response.status
    if call is None:
        return None
    call.status = response.status
    wire = getattr(response, "_original_response", None) or response
    if wire.length == 0 or wire.isclosed():  # nothing to read (HEAD, 204)
        return None
    call.exchange = vars(wire)[SLOT] = Exchange(span, PLACE)
    return KEEP


def _exchange(response: Any) -> Exchange | None:
    wire = getattr(response, "_original_response", None)
    return getattr(wire, SLOT, None)


class _Reading:
    """urllib3's own context manager of a read, and the exchange that may end with it."""

    __slots__ = ("exchange", "manager", "response")

    def __init__(self, manager: Any, exchange: Exchange, response: Any) -> None:
        self.manager = manager
        self.exchange = exchange
        self.response = response

    def __enter__(self) -> Any:
        return self.manager.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            swallowed = self.manager.__exit__(kind, error, trace)
        except BaseException as translated:
            self.exchange.end(translated)
            raise
        if error is not None:
            self.exchange.end(error)
        elif self.response._original_response.isclosed():
            self.exchange.end()
        return swallowed


def _error_catcher(original: Any) -> Any:
    def _error_catcher(self: Any, *args: Any, **kwargs: Any) -> Any:
        manager = original(self, *args, **kwargs)
        exchange = _exchange(self)
        return manager if exchange is None else _Reading(manager, exchange, self)

    return _error_catcher


def _close(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            exchange = _exchange(self)
            if exchange is not None:
                exchange.end()

    return close
