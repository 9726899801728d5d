"""http.client's exchanges, for the program itself or for urllib.request: a client span each, until its body is read.

An exchange for which a layer above (urllib3) has made the span is left alone.
"""

from __future__ import annotations

from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client.call import Call, current_call
from autotrace.http_client.exchange import Exchange, header_changes, wrap_close
from autotrace.http_client.server_facts import origin
from autotrace.patching import Unpatchable, require
from autotrace.tracing import current
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from autotrace.patching import Plan
    from autotrace.tracing.span import Span

LAYER = "http.client"
SLOT = "_autotrace_wire"

traces_own = False
"""Are the program's own requests by http.client traced? The patch of http.client, which can be disabled, says so."""


def trace_exchanges(module: Any, plan: Plan, own: bool = False) -> None:
    """Fill `plan` for http.client; no method is patched twice. `own`: trace also requests without a library above."""
    if own:
        plan.step(partial(_trace_own, True), partial(_trace_own, False), "http.client's own requests")
    Connection, Response = require(module, "HTTPConnection"), require(module, "HTTPResponse")
    # putrequest(): begins every request, those of request() too, but not the CONNECT of a tunnel. The client span.
    plan.method(Connection, "putrequest", _putrequest, parameters=("method", "url"))
    # endheaders(): the last place before the headers leave, and where the connection is made.
    if "_buffer" not in require(Connection, "__init__").__code__.co_names:
        raise Unpatchable("http.client.HTTPConnection keeps its headers elsewhere")
    plan.method(Connection, "endheaders", _endheaders)
    # send(), getresponse(), close(): the failures until there is a response, and its status.
    plan.method(Connection, "send", _send)
    plan.method(Connection, "getresponse", _getresponse)
    plan.method(Connection, "close", wrap_close(SLOT))
    # All ways to read a body: the others (iteration, readlines, readall) call one of these. The span's end.
    for name in ("read", "readinto", "read1", "readline"):
        plan.method(Response, name, _read)
    plan.method(Response, "close", wrap_close(SLOT))


def _trace_own(enabled: bool) -> None:
    global traces_own
    traces_own = enabled


def _putrequest(original: Any) -> Any:
    def putrequest(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)  # touches no network: a request that it refuses is never sent
        try:
            _start_exchange(self, argument(args, kwargs, 0, "method"), argument(args, kwargs, 1, "url"))
        except Exception:
            contained(LAYER)
        return result

    return putrequest


def _start_exchange(connection: Any, method: str, target: str) -> None:
    call = current_call.get()
    if call is not None and call.connection is connection:
        return
    if call is not None and call.expects(LAYER):
        call.connection = connection
    elif traces_own:
        call = Call(LAYER, url=_url(connection, target or "/"))
    else:
        return
    span = call.start_exchange(method)
    if span is not None:
        vars(connection)[SLOT] = Exchange(span, LAYER)


def _url(connection: Any, target: str) -> str:
    if not target.startswith("/") and "://" in target:  # as a proxy is asked
        return target
    host, port = connection.host, connection.port
    if connection._tunnel_host:
        host, port = connection._tunnel_host, connection._tunnel_port
    return origin(connection.default_port == 443, host, port) + target


def _endheaders(original: Any) -> Any:
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        if exchange is None:
            return original(self, *args, **kwargs)
        token = None
        try:
            _inject(self._buffer, exchange.span)
            token = current.enter(exchange.span)
        except Exception:
            contained(LAYER)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            exchange.end(error)
            raise
        finally:
            if token is not None:
                current.leave(token)

    return endheaders


def _inject(lines: list[bytes], span: Span) -> None:
    """`lines`: the request line and `name: value` of each header, as http.client keeps them until they are sent."""
    changes = header_changes([line.partition(b":")[0].decode("latin-1") for line in lines[1:]], span)
    if changes is not None:
        stay, added = changes
        lines[1:] = [*compress(lines[1:], stay), *(f"{name}: {value}".encode("latin-1") for name, value in added)]


def _send(original: Any) -> Any:
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            exchange = vars(self).get(SLOT)
            if exchange is not None:
                exchange.end(error)
            raise

    return send


def _getresponse(original: Any) -> Any:
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).pop(SLOT, None)
        if exchange is None:
            return original(self, *args, **kwargs)
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            exchange.end(error)
            raise
        try:
            _on_response(self, exchange, response)
        except Exception:
            contained(LAYER)
        return response

    return getresponse


def _on_response(connection: Any, exchange: Exchange, response: Any) -> None:
    exchange.span.facts["status"] = response.status
    if getattr(response, "length", None) == 0 or response.isclosed():
        exchange.end()
        return
    vars(response)[SLOT] = exchange
    call = current_call.get()
    if call is not None and call.connection is connection:
        call.exchange = exchange


def _read(original: Any) -> Any:
    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        if exchange is None:
            return original(self, *args, **kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            exchange.end(error)
            raise
        if self.isclosed():
            exchange.end()
        return result

    return read
