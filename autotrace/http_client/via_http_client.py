"""http.client's exchanges, for the program itself or for urllib.request: a client span each, until its body is read.

An exchange for which a layer above (urllib3) has made the span is left alone.
"""

from __future__ import annotations

from functools import partial
from http.client import HTTPResponse
from itertools import compress
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client.call import Call, current_call
from autotrace.http_client.exchange import Exchange, header_changes, wrap_close
from autotrace.http_client.server_facts import origin
from autotrace.patching import Unpatchable, require
from autotrace.tracing.current import enter, get, put

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
    # endheaders(): every request passes it, but not the CONNECT of a tunnel. It has the request line and all headers,
    # and is where the connection is made. The client span.
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


def _url(connection: Any, target: str) -> str:
    if not target.startswith("/") and "://" in target:  # as a proxy is asked
        return target
    host, port = connection.host, connection.port
    if connection._tunnel_host:
        host, port = connection._tunnel_host, connection._tunnel_port
    return origin(connection.default_port == 443, host, port) + target


def _endheaders(original: Any) -> Any:
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer, exchange = get(), None
        try:
            try:
                try:
                    exchange = _start_exchange(self)
                    if exchange is not None:
                        enter(exchange.span)
                except Exception:
                    contained(LAYER)
                    exchange = None
                result = original(self, *args, **kwargs)
                if exchange is None:
                    return result
                put(outer)
            except BaseException as error:
                if exchange is not None:
                    put(outer)
                    exchange.end(error)
                raise
        except BaseException:
            if exchange is not None:
                put(outer)
            raise
        return result

    return endheaders


def _start_exchange(connection: Any) -> Exchange | None:
    """The exchange that begins with the request in `_buffer`, whose headers get the trace. None: no span here."""
    lines = connection._buffer
    if not lines:
        return None  # no request: http.client says so
    call = current_call.get()
    if call is not None and call.uninjected is not None:
        _inject(lines, _names(lines), call.uninjected)
        call.uninjected = None
        return None
    if call is not None and call.connection is connection:
        return None
    method, _, line = lines[0].decode("latin-1").partition(" ")
    if call is not None and call.expects(LAYER):
        call.connection = connection
    elif traces_own:
        call = Call(LAYER, url=_url(connection, line.rpartition(" ")[0]))
    else:
        return None
    names = _names(lines)
    span = call.start_exchange(method, names, map(_pair, lines[1:]))
    if span is None:
        return None
    _inject(lines, names, span)
    exchange = vars(connection)[SLOT] = Exchange(span, LAYER)
    return exchange


def _names(lines: list[bytes]) -> list[str]:
    """The names, lower-case. `lines`: the request line and `name: value` of each header, as http.client keeps them."""
    return [line.partition(b":")[0].decode("latin-1").lower() for line in lines[1:]]


def _inject(lines: list[bytes], names: list[str], span: Span) -> None:
    changes = header_changes(names, span)
    if changes is not None:
        stay, added = changes
        lines[1:] = [*compress(lines[1:], stay), *(f"{name}: {value}".encode("latin-1") for name, value in added)]


def _pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name, value.strip()


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
    # A response of a class that the program has put there may be anything, a mock for instance.
    if not issubclass(type(response), HTTPResponse) or response.length == 0 or response.isclosed():
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
