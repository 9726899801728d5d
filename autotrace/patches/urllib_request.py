"""urllib.request: one client span per exchange on the wire, each redirect and each answer to a challenge its own, until the body is read.

Spans are made where http.client sends. `file:`, `ftp:` and `data:` URLs make none.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_client import call as client_exchange
from autotrace.http_client import via_http_client
from autotrace.http_client.call import NEXT, Call
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import argument

PLACE = "urllib.request"


def openers(module: Any, plan: Plan) -> None:
    # OpenerDirector.open(): every request and, within the first one's, every redirect. No span: it counts.
    plan.method(require(module, "OpenerDirector"), "open", _open, parameters=("fullurl",))
    # AbstractHTTPHandler.do_open(): one request on one connection of its own. It says what is called; http.client sends.
    plan.method(require(module, "AbstractHTTPHandler"), "do_open", _do_open, parameters=("req",))
    via_http_client.exchanges(require(require(module, "http"), "client"), plan)


def _open(original: Any) -> Any:
    def open(*args: Any, **kwargs: Any) -> Any:
        call = outer = None
        try:
            call, outer = _call(args, kwargs)
        except Exception:
            contained(PLACE)
        token = client_exchange.call.set(call)
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            # An HTTPError is the response; with any other the response is lost.
            if call is not None and call.exchange is not None and getattr(error, "fp", None) is None:
                call.exchange.end()
            raise
        finally:
            client_exchange.leave(token)
            if outer is not None and call is not None:
                outer.exchanges, outer.request = call.exchanges, call.request

    return open


def _call(args: Any, kwargs: Any) -> tuple[Call, Call | None]:
    """(the call, the call that it goes on with: a redirect's, or one that is sent again with credentials)"""
    opener, request = args[0], argument(args, kwargs, 1, "fullurl")
    outer = client_exchange.call.get()
    if outer is None or outer.owner is not opener or not _goes_on(outer.request, request):
        return Call(PLACE, opener, ""), None
    if outer.exchange is not None:
        outer.exchange.end()  # nobody reads the answer that was no answer
    return Call(PLACE, opener, "", outer.exchanges), outer


def _goes_on(before: Any, request: Any) -> bool:
    """The library's own handlers send the same request again, or give the next one the dict of what has been visited."""
    if before is None or before is request:
        return before is not None
    visited = getattr(before, "redirect_dict", None)
    return visited is not None and getattr(request, "redirect_dict", None) is visited


def _do_open(original: Any) -> Any:
    def do_open(*args: Any, **kwargs: Any) -> Any:
        call = token = None
        try:
            call, token = _sent(argument(args, kwargs, 2, "req"))
        except Exception:
            contained(PLACE)
        try:
            return original(*args, **kwargs)
        finally:
            if call is not None:
                call.wire = None
            if token is not None:
                client_exchange.leave(token)

    return do_open


def _sent(request: Any) -> tuple[Call, Any]:
    """(the call, whose next request on the wire is this one; the token to end it with, for a handler used without an opener)"""
    call, token = client_exchange.call.get(), None
    if call is None or call.component != PLACE or call.wire is not None:
        call = Call(PLACE, None, "")
        token = client_exchange.call.set(call)
    call.url, call.request, call.wire = request.full_url, request, NEXT
    return call, token
