"""requests: one client span per exchange on the wire, each redirect and each retry of urllib3's its own, until the body is read.

Spans are made where urllib3 sends a request on behalf of requests, so that nothing is counted twice and nothing that was
never sent (a cache, a mock) is counted. An adapter of the program's that does not go through urllib3 makes no span.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from autotrace.containment import contained
from autotrace.http_client import call as client_exchange
from autotrace.http_client import via_urllib3
from autotrace.http_client.call import Call
from autotrace.patching import Plan, require
from autotrace.tracing import propagate
from autotrace.tracing.traced_call import argument, traced, with_argument

PLACE = "requests"
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
    via_urllib3.exchanges(Pool, Response, plan)  # the client spans; these are patched by whoever comes first


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
            client_exchange.leave(token)
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
        return Call(PLACE, session, url, active=True), None
    return Call(PLACE, session, url, outer.exchanges, active=True), outer


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
                # MaxRetryError repeats the URL, secrets included; its reason does not.
                reason = getattr(error.args[0] if error.args else None, "reason", None) or error
                client_exchange.never_sent(call, request.method, reason, started)
            raise
        finally:
            call.active, call.wire = False, None
            if token is not None:
                client_exchange.leave(token)

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
    call = Call(PLACE, None, url, active=True)
    return call, client_exchange.call.set(call)


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
    if call is None:
        return None
    call.wire = client_exchange.ANY
    span = client_exchange.next_span(call, request.method)
    if span is None:
        return None
    copy = request.copy()
    propagate.inject_http(copy.headers, span, client_exchange.host_of(span))
    return span, *with_argument(args, kwargs, 1, "request", copy)


def _after_body(span: Any, response: Any) -> object:
    return via_urllib3.after(span, response.raw)
