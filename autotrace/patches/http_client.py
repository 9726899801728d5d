"""http.client used by the program itself: one client span per request, until the body is read, closed or collected.

http.client follows no redirect and repeats nothing. The CONNECT of a tunnel belongs to the request that needs it.
"""

from __future__ import annotations

from typing import Any

from autotrace.http_client import via_http_client
from autotrace.patching import Plan


def connections(module: Any, plan: Plan) -> None:
    via_http_client.trace_exchanges(module, plan, own=True)
