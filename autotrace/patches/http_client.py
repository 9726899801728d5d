"""http.client used by the program itself: one client span per request, until the body is read, closed or collected.

http.client follows no redirect and sends nothing again. The CONNECT of a tunnel is part of the request that needs the tunnel.
"""

from __future__ import annotations

from typing import Any

from autotrace.http_client import via_http_client
from autotrace.patching import Plan


def connections(module: Any, plan: Plan) -> None:
    via_http_client.trace_exchanges(module, plan, own=True)
