"""Facts that every Kafka client has: the client's own, the first broker, a key worth keeping, the age of a record."""

from __future__ import annotations

import time
from typing import Any

from autotrace.semantics.family import SharedFacts
from autotrace.semantics.messaging import KEY_LIMIT

PORT = 9092
"""The port that Kafka's clients take for a server configured without one."""
_YEARS = 10 * 365 * 24 * 3600 * 1000
"""ms: an older timestamp is a placeholder."""


def client_facts(component: str, servers: Any, client_id: Any, **more: Any) -> SharedFacts:
    """The facts that all spans of one producer or consumer share. `servers`: as configured."""
    return SharedFacts(
        {
            "component": component,
            "system": "kafka",
            "service": "kafka",
            "remote": first_server(servers),
            "client": client_id,
            **more,
        }
    )


def first_server(servers: Any) -> tuple[str, int] | None:
    """(host, port) of the first bootstrap server. `servers`: 'host:port,…' or a list; None if it names no server."""
    server = servers.split(",")[0] if isinstance(servers, str) else str(next(iter(servers or ()), ""))
    host, _, port = server.rpartition("://")[2].strip().rpartition(":")
    if not port.isdigit() or (":" in host and not host.endswith("]")):
        host, port = f"{host}:{port}" if host else port, str(PORT)
    host = host.strip("[]")
    return (host, int(port)) if host else None


def short_key(key: Any) -> Any:
    """A key worth keeping until export. Long keys are likely to be data; keys of other types may change meanwhile."""
    return key if isinstance(key, (bytes, str)) and len(key) <= KEY_LIMIT else None


def age(timestamp: int) -> int | None:
    """ms since a record's timestamp (ms since the epoch). None if a clock is wrong, or if there is no timestamp."""
    found = time.time_ns() // 1_000_000 - timestamp
    return found if 0 <= found < _YEARS else None
