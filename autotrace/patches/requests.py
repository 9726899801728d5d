"""requests (2.29 and later): one client span per exchange, redirects and retries included, until the body is read.

Spans are made where urllib3 sends for requests. So nothing is counted twice, and a request that is never sent (a cache,
a mock) has no span. Nor has a request through an adapter of the program's that does not use urllib3.
"""

from __future__ import annotations

import sys
from typing import Any

from autotrace.http_client import via_urllib3
from autotrace.http_client.call import Call, current_call, enter_layer, wrap_call
from autotrace.patching import Plan, Unpatchable, require
from autotrace.tracing.traced_call import argument

PLACE = "requests"
REDIRECTS = frozenset((301, 302, 303, 307, 308))


def sessions(module: Any, plan: Plan) -> None:
    Session, Adapter = require(module, "Session"), require(module, "HTTPAdapter")
    if "putrequest" in getattr(getattr(require(Adapter, "send"), "__code__", None), "co_names", ()):
        raise Unpatchable("requests < 2.29 sends bodies of unknown length past urllib3; 2.29 or later is needed")
    unreachable = require(sys.modules[Adapter.__module__], "ConnectionError")
    # Session.send(): every request and, within the first one's, every redirect. No span: it knows the URL and counts.
    plan.method(Session, "send", wrap_call(PLACE, _session_call), parameters=("request",))
    # HTTPAdapter.send(): one request handed to urllib3, also if authentication sends it again. A span only for a
    # failure before anything is sent (no proxy, no tunnel).
    wrap_send = via_urllib3.wrap_send(PLACE, _enter_adapter, unreachable, _request)
    plan.method(Adapter, "send", wrap_send, parameters=("request",))
    # The client spans. The patch of urllib3 needs the same methods; the first of the two patches them.
    Pool = require(sys.modules["urllib3.connectionpool"], "HTTPConnectionPool")
    via_urllib3.trace_exchanges(Pool, require(sys.modules["urllib3.response"], "HTTPResponse"), plan)


def _session_call(args: Any, kwargs: Any) -> Call | None:
    url = getattr(argument(args, kwargs, 1, "request"), "url", None)
    if not isinstance(url, str):
        return None  # not a prepared request: send() says so
    session, outer = args[0] if args else None, current_call.get()
    # The session itself sends a redirect, from within the send() of the request that was redirected.
    if (
        outer is None
        or outer.status not in REDIRECTS
        or outer.owner is not session
        or kwargs.get("allow_redirects") is not False
    ):
        outer = None
    return Call(PLACE, session, url, layer=via_urllib3.LAYER, follows=outer)


def _enter_adapter(args: Any, kwargs: Any) -> Call | None:
    """The session's call goes on here; an adapter that the program uses without a session has a call of its own."""
    url = getattr(argument(args, kwargs, 1, "request"), "url", None)
    return enter_layer(PLACE, via_urllib3.LAYER, url) if isinstance(url, str) else None


def _request(args: Any, kwargs: Any) -> tuple[Any, Any]:
    request = argument(args, kwargs, 1, "request")
    return request.method, request.headers
