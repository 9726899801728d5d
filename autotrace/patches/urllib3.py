"""urllib3 (1.26, 2.x) used by the program itself: one client span per exchange, redirects and retries included.

If a library above, such as requests, has a call in progress, urllib3 sends for that call and makes none of its own.
"""

from __future__ import annotations

import sys
from typing import Any

from autotrace.http_client import via_urllib3
from autotrace.http_client.call import Call, current_call
from autotrace.http_client.server_facts import origin
from autotrace.http_client.via_urllib3 import LAYER
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import argument

PLACE = "urllib3"
UNSENT = ("MaxRetryError", "ProxyError", "SSLError", "TimeoutError", "NewConnectionError", "ProtocolError")


def pools(module: Any, plan: Plan) -> None:
    Manager, Pool = require(module, "PoolManager"), require(module, "HTTPConnectionPool")
    library = sys.modules[Pool.__module__]
    Response = require(sys.modules[f"{Pool.__module__.rpartition('.')[0]}.response"], "HTTPResponse")
    unsent = tuple(require(library, name) for name in UNSENT)
    # urlopen(): every request, redirect and retry, each from within the one before. It knows the URL and counts.
    # A span only for a failure before anything is sent.
    for cls, enter in ((Manager, _enter_manager), (Pool, _enter_pool)):
        wrap_send = via_urllib3.wrap_send(PLACE, enter, unsent, _request)
        plan.method(cls, "urlopen", wrap_send, parameters=("method", "url"))
    via_urllib3.trace_exchanges(Pool, Response, plan)


def _enter_manager(args: Any, kwargs: Any) -> Call | None:
    """A new call; None for a redirect, or if a library above sends."""
    manager, url = args[0], argument(args, kwargs, 2, "url")
    call = current_call.get()
    if call is None or not call.expects(LAYER) or (call.component == PLACE and call.owner is not manager):
        return _enter(manager, url)
    if call.owner is manager:
        call.url = url
    return None


def _enter_pool(args: Any, kwargs: Any) -> Call | None:
    pool, target = args[0], argument(args, kwargs, 2, "url")
    call = current_call.get()
    if call is None or not call.expects(LAYER):
        return _enter(pool, _full_url(pool, target))
    if call.owner is pool or "://" not in call.url:  # its own redirect; a URL that was given without a scheme
        call.url = _full_url(pool, target)
    return None


def _enter(owner: Any, url: str) -> Call:
    call = Call(PLACE, owner, url, layer=LAYER)
    current_call.set(call)
    return call


def _full_url(pool: Any, target: str) -> str:
    if not target.startswith("/") and "://" in target:
        return target
    return origin(pool.scheme == "https", pool.host, pool.port) + target


def _request(args: Any, kwargs: Any) -> tuple[Any, Any]:
    return argument(args, kwargs, 1, "method"), kwargs.get("headers")
