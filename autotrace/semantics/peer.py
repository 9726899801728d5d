"""The peer of a call (`peer.*`, `server.*`): rows that every family shares. Host names stay as configured."""

from __future__ import annotations

from typing import Any

from autotrace.semantics.family import Row, Tag
from autotrace.settings import in_force

names = in_force().peer_names
"""AUTOTRACE_PEER_NAMES: host -> the name to show."""


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _is_ip(host: str) -> bool:
    return ":" in host or _is_ipv4(host)


def _shown(host: str) -> str | None:
    return names.get(host, host) or None


def _address(host_port: tuple[str, int | None]) -> str | None:
    """host:port. None without a host: Kiali reads the part before `:` and would mark a wrong node for `:5432`."""
    host, port = host_port
    if not host:
        return None
    host = names.get(host, host)
    if ":" in host:
        host = f"[{host}]"
    return f"{host}:{port}" if port else host


def _port(host_port: tuple[str, int | None]) -> int | None:
    return host_port[1] if host_port[0] else None


def _host(convert: Any) -> Any:
    return lambda host_port: convert(host_port[0])


# Fact `remote`: (host, port or None) as configured; ('', None) for a unix socket, which has no peer. Fact `service`:
# the name of the peer if AUTOTRACE_PEER_NAMES has none. Fact `address`: the address that the socket is connected to.
ROWS = (
    Row(
        "remote",
        (
            Tag("peer.hostname", _host(_shown)),
            Tag("peer.address", _address),
            Tag("peer.port", _port),
            Tag("peer.ipv4", _host(lambda host: host if _is_ipv4(host) else None)),
            Tag("peer.ipv6", _host(lambda host: host if ":" in host else None)),
        ),
        (Tag("server.address", _host(lambda host: host or None)), Tag("server.port", _port)),
    ),
    Row("service", (Tag("peer.service", _shown),), (Tag("peer.service", _shown),)),
    Row("address", (), (Tag("network.peer.address", lambda host: host if _is_ip(host) else None),)),
)
