"""Facts that every Kafka client gives in the same way: the first broker, a short key, the age of a record."""

from __future__ import annotations

import time
from typing import Any

from autotrace.semantics.messaging import KEY_LIMIT

PORT = 9092
"""The port that Kafka's clients use for a server configured without one."""
_YEARS = 10 * 365 * 24 * 3600 * 1000
"""ms. A record older than this has no valid timestamp."""


def first_server(servers: Any) -> tuple[str, int] | None:
    """(host, port) of the first bootstrap server; or None. `servers`: 'host:port,…' or a list of 'host:port'."""
    server = servers.split(",")[0] if isinstance(servers, str) else str(next(iter(servers or ()), ""))
    host, _, port = server.rpartition("://")[2].strip().rpartition(":")
    if not port.isdigit() or (":" in host and not host.endswith("]")):
        host, port = f"{host}:{port}" if host else port, str(PORT)
    host = host.strip("[]")
    return (host, int(port)) if host else None


def short_key(key: Any) -> Any:
    """A key that may be kept until export, or None. Long keys are likely to be data; other types may change."""
    return key if isinstance(key, (bytes, str)) and len(key) <= KEY_LIMIT else None


def age(timestamp: int) -> int | None:
    """ms since a record's timestamp (ms since the epoch). None without one, or if one of the clocks is wrong."""
    found = time.time_ns() // 1_000_000 - timestamp
    return found if 0 <= found < _YEARS else None
