"""http.client used by the program itself: one client span per request, until the body is read, closed or collected.

Follows nothing and sends nothing again, as http.client does not. The CONNECT of a tunnel is part of the request it is made for.
"""

from __future__ import annotations

from typing import Any

from autotrace.http_client import via_http_client
from autotrace.patching import Plan


def connections(module: Any, plan: Plan) -> None:
    via_http_client.exchanges(module, plan)
    plan.value(via_http_client, "bare", True)
