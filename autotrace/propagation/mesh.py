"""Headers that a service mesh wants passed on, byte for byte, from a request to every call that is made for it."""

from __future__ import annotations

from .context import OWS
from .w3c import is_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .context import Get

trace_names = (
    "x-ot-span-context",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "sw8",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
)
"""Trace contexts of other tracers. A stale one must never be sent."""

names = ("x-request-id", *trace_names)
"""x-request-id must stay unchanged too, because Envoy keeps its sampling decision in its 15th character."""

stale_names = ("x-datadog-origin", "x-datadog-tags", "x_datadog_kafka_produced")
"""Parts of a Datadog context: removed with the context, never forwarded."""

prefix = "x-datadog-"

_NEVER = frozenset(
    (
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "host",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
    )
)
"""Secrets of one hop and headers that frame a message. To forward these would leak a secret or break the call."""

_MAX_VALUE = 8192


def forwardable(extra: Iterable[str]) -> tuple[str, ...]:
    """The names of the mesh and of the setting, in lower case, without forbidden and invalid ones."""
    wanted = [name.strip(OWS).lower() for name in extra]
    return tuple(dict.fromkeys([*names, *(name for name in wanted if is_token(name) and name not in _NEVER)]))


def extract(get: Get, forwarded: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, value) of each header that can be sent: printable ASCII, not empty, at most 8192 characters."""
    found = []
    for name in forwarded:
        value = get(name)
        if value is not None:
            value = value.strip(OWS)
            if value and len(value) <= _MAX_VALUE and value.isascii() and value.isprintable():
                found.append((name, value))
    return tuple(found)
