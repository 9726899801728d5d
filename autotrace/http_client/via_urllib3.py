"""What urllib3 (1.26, 2.x) sends on behalf of the call in work, its own or requests': a client span per attempt, until the body is read."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from autotrace.http_client import call as client_exchange
from autotrace.http_client.call import Exchange, next_span
from autotrace.tracing import propagate
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced

if TYPE_CHECKING:
    from autotrace.http_client.call import Call
    from autotrace.patching import Plan

PLACE = "urllib3"
SLOT = "_autotrace_exchange"


def exchanges(pool: Any, response: Any, plan: Plan) -> None:
    """Fill `plan` for the classes HTTPConnectionPool and HTTPResponse. Does nothing where it has been done."""
    # _make_request(): one attempt on one connection, the last place that has the headers as a mapping. The client span.
    plan.method(pool, "_make_request", _make_request, parameters=("conn", "method", "url"))
    # _error_catcher(): around every read of a body from the wire; close(): when the program has had enough. The span's end.
    plan.method(response, "_error_catcher", _error_catcher)
    plan.method(response, "close", _close)


def _make_request(original: Any) -> Any:
    sending = traced(original, PLACE, _before, after)

    def _make_request(*args: Any, **kwargs: Any) -> Any:
        call = client_exchange.call.get()
        # Nobody's call, or the program's own use of urllib3 while a body is being sent: that one has a call of its own.
        if call is None or not call.active or call.wire is not None:
            return original(*args, **kwargs)
        call.wire = argument(args, kwargs, 1, "conn")
        try:
            return sending(*args, **kwargs)
        finally:
            call.wire = None

    return _make_request


def _before(args: Any, kwargs: Any) -> Any:
    call: Any = client_exchange.call.get()
    span = next_span(call, argument(args, kwargs, 2, "method"))
    if span is None:
        return None
    if "headers" in kwargs:
        host = client_exchange.host_of(span)
        if propagate.is_target(host):
            headers = _copied(kwargs["headers"])
            propagate.inject_http(headers, span, host)
            kwargs = {**kwargs, "headers": headers}
    return span, args, kwargs


def _copied(headers: Any) -> Any:
    """A mapping for urllib3 to send. A third of the price for requests' own CaseInsensitiveDict, and names keep their case."""
    store = getattr(headers, "_store", None)
    if type(store) is OrderedDict:  # lower-case name -> (name, value)
        return dict(store.values())
    return {} if headers is None else headers.copy()


def after(span: Any, response: Any) -> object:
    """`response`: urllib3's, or http.client's (urllib3 < 2). The exchange hangs on the latter, which is there in both."""
    call: Call | None = client_exchange.call.get()
    span.facts["status"] = response.status
    if call is None:
        return None
    call.status = response.status
    wire = getattr(response, "_original_response", None) or response
    # Nothing to read (HEAD, 204), or read already: an answer of urllib3's HTTP/2, or a stand-in, has no length.
    if getattr(wire, "length", 0) == 0 or wire.isclosed():
        return None
    call.exchange = vars(wire)[SLOT] = Exchange(span, PLACE)
    return LEAVE_OPEN


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
