"""urllib3 (1.26, 2.x) used by the program itself: one client span per exchange on the wire, redirects and retries included.

Calls of requests (and of whatever else has a call in work) are not begun here.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client import call as client_exchange
from autotrace.http_client import via_urllib3
from autotrace.http_client.call import Call
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    Begin = Callable[[Any, Any], Call | None]

PLACE = "urllib3"
UNSENT = ("MaxRetryError", "ProxyError", "SSLError", "TimeoutError", "NewConnectionError", "ProtocolError")


def pools(module: Any, plan: Plan) -> None:
    Manager, Pool = require(module, "PoolManager"), require(module, "HTTPConnectionPool")
    library = sys.modules[Pool.__module__]
    Response = require(sys.modules[f"{Pool.__module__.rpartition('.')[0]}.response"], "HTTPResponse")
    unsent = tuple(require(library, name) for name in UNSENT)
    # urlopen(): every request, redirect and retry, each from within the one before. No span: it says what is called, and counts.
    plan.method(Manager, "urlopen", _urlopen(_of_manager, unsent), parameters=("method", "url"))
    plan.method(Pool, "urlopen", _urlopen(_of_pool, unsent), parameters=("method", "url"))
    via_urllib3.exchanges(Pool, Response, plan)


def _urlopen(begin: Begin, unsent: tuple[type[Exception], ...]) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def urlopen(*args: Any, **kwargs: Any) -> Any:
            call = None
            try:
                call = begin(args, kwargs)
            except Exception:
                contained(PLACE)
            if call is None:
                return original(*args, **kwargs)
            token, started = client_exchange.call.set(call), time.time_ns()
            try:
                return original(*args, **kwargs)
            except unsent as error:
                if not call.exchanges:
                    client_exchange.never_sent(call, argument(args, kwargs, 1, "method"), _cause(error), started)
                raise
            finally:
                client_exchange.leave(token)

        return urlopen

    return make


def _cause(error: Exception) -> Exception:
    """MaxRetryError repeats the URL, secrets included; its reason does not."""
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, Exception) else error


def _is_free(call: Call | None) -> bool:
    """No call is in work here; or one is being sent, and this is a call of the program's from within that (its body)."""
    return call is None or not call.active or call.wire is not None


def _of_manager(args: Any, kwargs: Any) -> Call | None:
    """A new call; None where it is part of one: a redirect's, or that of a library above."""
    manager, url = args[0], argument(args, kwargs, 2, "url")
    call = client_exchange.call.get()
    if call is None or _is_free(call) or (call.component == PLACE and call.owner is not manager):
        return Call(PLACE, manager, url, active=True)
    if call.owner is manager:
        call.url = url
    return None


def _of_pool(args: Any, kwargs: Any) -> Call | None:
    pool, target = args[0], argument(args, kwargs, 2, "url")
    call = client_exchange.call.get()
    if call is None or _is_free(call):
        return Call(PLACE, pool, _whole(pool, target), active=True)
    if call.owner is pool or "://" not in call.url:  # its own redirect; a URL that was given without a scheme
        call.url = _whole(pool, target)
    return None


def _whole(pool: Any, target: str) -> str:
    if not target.startswith("/") and "://" in target:
        return target
    return client_exchange.origin(pool.scheme == "https", pool.host, pool.port) + target
