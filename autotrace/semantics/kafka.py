"""Facts that every Kafka client tells in the same way: the first broker, a key worth keeping, the age of a record."""

from __future__ import annotations

import time
from typing import Any

from autotrace.semantics.messaging import KEY_LIMIT

PORT = 9092
"""Of a server that is configured without one: what Kafka's clients take."""
_YEARS = 10 * 365 * 24 * 3600 * 1000
"""ms: an older record has a timestamp that is none."""


def first_server(servers: Any) -> tuple[str, int] | None:
    """(host, port) of the first bootstrap server as configured: 'host:port,…' or a list of such; None where there is none."""
    server = servers.split(",")[0] if isinstance(servers, str) else str(next(iter(servers or ()), ""))
    host, _, port = server.rpartition("://")[2].strip().rpartition(":")
    if not port.isdigit() or (":" in host and not host.endswith("]")):
        host, port = f"{host}:{port}" if host else port, str(PORT)
    host = host.strip("[]")
    return (host, int(port)) if host else None


def short_key(key: Any) -> Any:
    """A key worth keeping until export; what is long is likely to be data, other types may change meanwhile."""
    return key if isinstance(key, (bytes, str)) and len(key) <= KEY_LIMIT else None


def age(timestamp: int) -> int | None:
    """ms since a record's timestamp (ms since the epoch); None where one of the clocks is wrong, or there is no timestamp."""
    found = time.time_ns() // 1_000_000 - timestamp
    return found if 0 <= found < _YEARS else None
