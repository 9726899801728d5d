"""urllib3's exchanges (1.26, 2.x), for a call of its own or of requests: a client span each, until its body is read."""

from __future__ import annotations

from collections import OrderedDict
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client import urllib3_body
from autotrace.http_client.call import current_call
from autotrace.http_client.exchange import Exchange
from autotrace.http_client.program_headers import lower_names
from autotrace.http_client.server_facts import host_of
from autotrace.http_client.urllib3_body import SLOT
from autotrace.tracing import propagate
from autotrace.tracing.clock import time_ns
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.http_client.call import Call
    from autotrace.patching import Plan

LAYER = "urllib3"


def trace_exchanges(pool: Any, response: Any, plan: Plan) -> None:
    """Fill `plan` for the classes HTTPConnectionPool and HTTPResponse; no method is patched twice."""
    # _make_request(): one attempt on one connection, the last place that has the headers as a mapping. The client span.
    plan.method(pool, "_make_request", _make_request, parameters=("conn", "method", "url"))
    # _error_catcher(): surrounds every read of a body. close(): the program stops reading. The span's end.
    plan.method(response, "_error_catcher", urllib3_body.wrap_error_catcher)
    plan.method(response, "close", urllib3_body.wrap_close)


def wrap_send(
    place: str,
    enter: Callable[[Any, Any], Call | None],
    errors: Any,
    request_of: Callable[[Any, Any], tuple[Any, Any]],
) -> Callable[[Any], Any]:
    """For a function that hands a request to urllib3. A span only if one of `errors` comes before anything is sent.

    enter(args, kwargs): as enter_layer(), or None for a part of the call in progress.
    request_of(args, kwargs): the HTTP method and the program's headers, a mapping or None.
    """

    def wrap(original: Any) -> Any:
        def send(*args: Any, **kwargs: Any) -> Any:
            outer, call, started, exchanges = current_call.get(), None, 0, 0
            try:
                try:
                    try:
                        call = enter(args, kwargs)
                        if call is not None:
                            started, exchanges = time_ns(), call.exchanges
                    except Exception:
                        contained(place)
                    return original(*args, **kwargs)
                except errors as error:
                    if call is not None and call.exchanges == exchanges:
                        _record_unsent(call, request_of, args, kwargs, error, started, place)
                    raise
                finally:
                    current_call.set(outer)
                    if call is not None:
                        call.layer = call.connection = None
            finally:  # for an interruption of the lines above
                current_call.set(outer)

        return send

    return wrap


def _record_unsent(
    call: Call, request_of: Any, args: Any, kwargs: Any, error: BaseException, started: int, place: str
) -> None:
    """A span of a call that was never sent: no name, no proxy, no tunnel. `started`: ns. Never raises."""
    try:
        method, headers = request_of(args, kwargs)
        span = call.start_exchange(method, lower_names(headers or ()), headers or ())
        if span is not None:
            span.start_time = started
            span.fail(_reason(error))
            span.end()
    except Exception:
        contained(place)


def _reason(error: BaseException) -> BaseException:
    """MaxRetryError repeats the URL, secrets included; its reason does not. requests' errors have it as argument."""
    for candidate in (error, *error.args[:1]):
        reason = getattr(candidate, "reason", None)
        if isinstance(reason, Exception):
            return reason
    return error


def _make_request(original: Any) -> Any:
    make_traced = traced(original, LAYER, _before, _after)

    def _make_request(*args: Any, **kwargs: Any) -> Any:
        call = current_call.get()
        # Not expected: the program's own use of urllib3 while a body is being sent, which is a call of its own.
        if call is None or not call.expects(LAYER):
            return original(*args, **kwargs)
        try:
            call.connection = argument(args, kwargs, 1, "conn")
            return make_traced(*args, **kwargs)
        finally:
            call.connection = call.uninjected = None

    return _make_request


def _before(args: Any, kwargs: Any) -> Any:
    call: Any = current_call.get()
    headers = kwargs.get("headers") or {}
    store = getattr(headers, "_store", None)
    names = store if type(store) is OrderedDict else lower_names(headers)
    span = call.start_exchange(argument(args, kwargs, 2, "method"), names, headers)
    if span is None:
        return None
    if _is_stand_in(argument(args, kwargs, 1, "conn")):
        call.uninjected = span
    elif "headers" in kwargs:
        kwargs = {**kwargs, "headers": propagate.injected(kwargs["headers"], span, host_of(span), _copy)}
    return span, args, kwargs


def _is_stand_in(connection: Any) -> bool:
    """Does it keep requests, as vcrpy's connections do, and send them by a connection of http.client's, if at all?

    What it keeps shows no trace headers: they are injected where http.client sends.
    """
    if type(connection).__module__ == "urllib3.connection":
        return False
    module = getattr(getattr(type(connection), "endheaders", None), "__module__", None)
    return isinstance(module, str) and not module.startswith(("http.client", "urllib3"))


def _copy(headers: Any) -> Any:
    """A copy for urllib3 to send. Reading the store of requests' CaseInsensitiveDict costs a third of its copy()."""
    store = getattr(headers, "_store", None)
    if type(store) is OrderedDict:  # lower-case name -> (name, value)
        return dict(store.values())
    return {} if headers is None else headers.copy()


def _after(span: Any, response: Any) -> object:
    """`response`: urllib3's, or http.client's (urllib3 < 2). The Exchange stands on http.client's, in both cases."""
    call = current_call.get()
    span.facts["status"] = response.status
    if call is None:
        return None
    call.status = response.status
    if call.uninjected is not None:
        return LEAVE_OPEN  # nothing was sent: the answer is a recorded one, and nobody holds the span any more
    wire = getattr(response, "_original_response", None) or response
    # Read already: a response of urllib3's HTTP/2, or a stand-in. Nothing to read: HEAD, 204.
    if getattr(type(wire), "isclosed", None) is not HTTPResponse.isclosed or wire.length == 0 or wire.isclosed():
        return None
    call.exchange = vars(wire)[SLOT] = Exchange(span, LAYER)
    return LEAVE_OPEN
