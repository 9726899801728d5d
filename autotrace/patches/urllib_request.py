"""urllib.request: one client span per exchange, redirects and answers to challenges included, until the body is read.

Spans are made where http.client sends. `file:`, `ftp:` and `data:` URLs make none.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_client import via_http_client
from autotrace.http_client.call import Call, current_call, enter_layer, wrap_call
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import argument

PLACE = "urllib.request"


def openers(module: Any, plan: Plan) -> None:
    # OpenerDirector.open(): every request and, within the first one's, every redirect. No span: it counts.
    wrap_open = wrap_call(PLACE, _open_call, keeps_response=_is_response)
    plan.method(require(module, "OpenerDirector"), "open", wrap_open, parameters=("fullurl",))
    # AbstractHTTPHandler.do_open(): one request on one connection of its own. It knows the URL; http.client sends.
    plan.method(require(module, "AbstractHTTPHandler"), "do_open", _do_open, parameters=("req",))
    via_http_client.trace_exchanges(require(require(module, "http"), "client"), plan)


def _open_call(args: Any, kwargs: Any) -> Call:
    opener, request, outer = args[0], argument(args, kwargs, 1, "fullurl"), current_call.get()
    if outer is None or outer.owner is not opener or not _follows(outer.request, request):
        return Call(PLACE, opener)
    if outer.exchange is not None:
        outer.exchange.end()  # nobody reads the body of a redirect or a challenge
    return Call(PLACE, opener, follows=outer)


def _follows(before: Any, request: Any) -> bool:
    """The library's own handlers send the same request again, or give the next one the dict of the URLs visited."""
    if before is None or before is request:
        return before is not None
    visited = getattr(before, "redirect_dict", None)
    return visited is not None and getattr(request, "redirect_dict", None) is visited


def _is_response(error: BaseException) -> bool:
    """An HTTPError is the response, from which the program may read."""
    return getattr(error, "fp", None) is not None


def _do_open(original: Any) -> Any:
    def do_open(*args: Any, **kwargs: Any) -> Any:
        outer, call = current_call.get(), None
        try:
            try:
                try:
                    request = argument(args, kwargs, 2, "req")
                    call = enter_layer(PLACE, via_http_client.LAYER, request.full_url)
                    call.request = request
                except Exception:
                    contained(PLACE)
                return original(*args, **kwargs)
            finally:
                current_call.set(outer)
                if call is not None:
                    call.layer = call.connection = None
        finally:  # for an interruption of the lines above
            current_call.set(outer)

    return do_open
