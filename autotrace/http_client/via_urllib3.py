"""urllib3's exchanges (1.26, 2.x), for a call of its own or of requests: a client span each, until its body is read."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client.call import current_call, leave_call
from autotrace.http_client.exchange import Exchange
from autotrace.http_client.server_facts import host_of
from autotrace.tracing import propagate
from autotrace.tracing.clock import time_ns
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.http_client.call import Call
    from autotrace.patching import Plan

LAYER = "urllib3"
SLOT = "_autotrace_exchange"


def trace_exchanges(pool: Any, response: Any, plan: Plan) -> None:
    """Fill `plan` for the classes HTTPConnectionPool and HTTPResponse; no method is patched twice."""
    # _make_request(): one attempt on one connection, the last place that has the headers as a mapping. The client span.
    plan.method(pool, "_make_request", _make_request, parameters=("conn", "method", "url"))
    # _error_catcher(): surrounds every read of a body. close(): the program stops reading. The span's end.
    plan.method(response, "_error_catcher", _error_catcher)
    plan.method(response, "close", _close)


def wrap_send(
    place: str,
    enter: Callable[[Any, Any], tuple[Call | None, Any]],
    errors: Any,
    method_of: Callable[[Any, Any], Any],
) -> Callable[[Any], Any]:
    """For a function that hands a request to urllib3. A span only if one of `errors` comes before anything is sent.

    enter(args, kwargs): as enter_layer(), or (None, None) for a part of the call in progress.
    method_of(args, kwargs): the HTTP method.
    """

    def wrap(original: Any) -> Any:
        def send(*args: Any, **kwargs: Any) -> Any:
            call = token = None
            try:
                call, token = enter(args, kwargs)
            except Exception:
                contained(place)
            if call is None:
                return original(*args, **kwargs)
            started, exchanges = time_ns(), call.exchanges
            try:
                return original(*args, **kwargs)
            except errors as error:
                if call.exchanges == exchanges:
                    try:
                        _record_unsent(call, method_of(args, kwargs), error, started)
                    except Exception:
                        contained(place)
                raise
            finally:
                call.layer = call.connection = None
                if token is not None:
                    leave_call(token)

        return send

    return wrap


def _record_unsent(call: Call, method: Any, error: BaseException, started: int) -> None:
    """A span of a call that was never sent: no name, no proxy, no tunnel. `started`: ns."""
    span = call.start_exchange(method)
    if span is not None:
        span.start_time = started
        span.fail(_reason(error))
        span.end()


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
        call.connection = argument(args, kwargs, 1, "conn")
        try:
            return make_traced(*args, **kwargs)
        finally:
            call.connection = None

    return _make_request


def _before(args: Any, kwargs: Any) -> Any:
    call: Any = current_call.get()
    span = call.start_exchange(argument(args, kwargs, 2, "method"))
    if span is None:
        return None
    if "headers" in kwargs:
        kwargs = {**kwargs, "headers": propagate.injected(kwargs["headers"], span, host_of(span), _copy)}
    return span, args, kwargs


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
    wire = getattr(response, "_original_response", None) or response
    # Nothing to read (HEAD, 204), or read already: a response of urllib3's HTTP/2, or a stand-in, has no length.
    if getattr(wire, "length", 0) == 0 or wire.isclosed():
        return None
    call.exchange = vars(wire)[SLOT] = Exchange(span, LAYER)
    return LEAVE_OPEN


def _exchange(response: Any) -> Exchange | None:
    wire = getattr(response, "_original_response", None)
    return getattr(wire, SLOT, None)


class _BodyRead:
    """urllib3's own context manager of one read of a body, and the exchange, which ends if the body does."""

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
        return manager if exchange is None else _BodyRead(manager, exchange, self)

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
