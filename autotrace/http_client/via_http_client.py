"""What http.client sends, for the program itself or for urllib.request's call in work: a client span per request until its body is read.

A connection that a layer above has seen already (urllib3's) is left alone.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client import call as client_exchange
from autotrace.http_client.call import ANY, NEXT, Call, Exchange, next_span
from autotrace.patching import Unpatchable, require
from autotrace.tracing import current, propagate
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from autotrace.patching import Plan
    from autotrace.tracing.span import Span

PLACE = "http.client"
SLOT = "_autotrace_wire"

bare = False
"""Are requests traced that nobody's call is in work for? Set by the patch of http.client, which can be disabled by itself."""


def exchanges(module: Any, plan: Plan) -> None:
    """Fill `plan` for http.client. Does nothing where it has been done."""
    Connection, Response = require(module, "HTTPConnection"), require(module, "HTTPResponse")
    # putrequest(): every request begins with it, those of request() too; the CONNECT of a tunnel does not. The client span.
    plan.method(Connection, "putrequest", _putrequest, parameters=("method", "url"))
    # endheaders(): the last place before the headers leave, and where the connection is made.
    if "_buffer" not in require(Connection, "__init__").__code__.co_names:
        raise Unpatchable("http.client.HTTPConnection keeps its headers elsewhere")
    plan.method(Connection, "endheaders", _endheaders)
    # send(), getresponse(), close(): what may go wrong until there is an answer, and the answer's status.
    plan.method(Connection, "send", _send)
    plan.method(Connection, "getresponse", _getresponse)
    plan.method(Connection, "close", _close)
    # All ways to read a body; the rest (iteration, readlines, readall) comes to one of them. The span's end.
    for name in ("read", "readinto", "read1", "readline"):
        plan.method(Response, name, _read)
    plan.method(Response, "close", _closing)


def _putrequest(original: Any) -> Any:
    def putrequest(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)  # touches no network: what it refuses was never to be sent
        try:
            _begin(self, argument(args, kwargs, 0, "method"), argument(args, kwargs, 1, "url"))
        except Exception:
            contained(PLACE)
        return result

    return putrequest


def _begin(connection: Any, method: str, target: str) -> None:
    call = client_exchange.call.get()
    if call is not None and (call.wire is connection or call.wire is ANY):
        return
    if call is not None and call.wire is NEXT:
        call.wire = connection
    elif bare:
        call = Call(PLACE, None, _url(connection, target or "/"))
    else:
        return
    span = next_span(call, method)
    if span is not None:
        vars(connection)[SLOT] = Exchange(span, PLACE)


def _url(connection: Any, target: str) -> str:
    if not target.startswith("/") and "://" in target:  # as a proxy is asked
        return target
    tunnelled = connection._tunnel_host
    host, port = (tunnelled, connection._tunnel_port) if tunnelled else (connection.host, connection.port)
    return client_exchange.origin(connection.default_port == 443, host, port) + target


def _endheaders(original: Any) -> Any:
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        if exchange is None:
            return original(self, *args, **kwargs)
        token = None
        try:
            _add_headers(self._buffer, exchange.span)
            token = current.enter(exchange.span)
        except Exception:
            contained(PLACE)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            exchange.end(error)
            raise
        finally:
            if token is not None:
                current.leave(token)

    return endheaders


def _add_headers(lines: list[bytes], span: Span) -> None:
    """`lines`: the request line and `name: value` of each header, as http.client keeps them until they are sent."""
    host = client_exchange.host_of(span)
    if not propagate.is_target(host):
        return
    names = [line.partition(b":")[0].decode("latin-1") for line in lines[1:]]
    stay, added = client_exchange.sent(names, span, host)
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
            _answered(self, exchange, response)
        except Exception:
            contained(PLACE)
        return response

    return getresponse


def _answered(connection: Any, exchange: Exchange, response: Any) -> None:
    call = client_exchange.call.get()
    of_call = call is not None and call.wire is connection
    exchange.span.facts["status"] = response.status
    if of_call:
        call.status = response.status  # type: ignore[union-attr]
    if getattr(response, "length", None) == 0 or response.isclosed():
        exchange.end()
        return
    vars(response)[SLOT] = exchange
    if of_call:
        call.exchange = exchange  # type: ignore[union-attr]


def _close(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            exchange = vars(self).pop(SLOT, None)
            if exchange is not None:
                exchange.end()

    return close


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


def _closing(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            exchange = vars(self).get(SLOT)
            if exchange is not None:
                exchange.end()

    return close
