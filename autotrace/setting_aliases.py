"""The variables of other systems (OTEL_*, JAEGER_*) in autotrace's words; None for a value without one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def otel_resource_service(value: str) -> str | None:
    """The `service.name` in OTEL_RESOURCE_ATTRIBUTES."""
    for item in value.split(","):
        key, _, content = item.partition("=")
        if key.strip() == "service.name" and content.strip():
            return content.strip()
    return None


def otel_exporter(*known: str) -> Callable[[str], str | None]:
    """OTEL_TRACES_EXPORTER. An exporter that autotrace lacks (otlp) leaves the choice to autotrace's default."""

    def first(value: str) -> str | None:
        name = value.partition(",")[0].strip()
        return name if name in known else None

    return first


def otel_propagators(*known: str) -> Callable[[str], str | None]:
    """OTEL_PROPAGATORS, without the formats that autotrace lacks (xray, ottrace). `none` cannot be expressed."""

    def those(value: str) -> str | None:
        return ",".join(name for name in map(str.strip, value.split(",")) if name in known) or None

    return those


def jaeger_propagation(value: str) -> str:
    """JAEGER_PROPAGATION, in the names of the jaeger clients: jaeger, b3, w3c."""
    words = [item.strip() for item in value.split(",") if item.strip()]
    return ",".join({"b3": "b3multi", "w3c": "tracecontext,baggage"}.get(word, word) for word in words)


def jaeger_sampler(value: str) -> str:
    """JAEGER_SAMPLER_TYPE. A `const` of 0 is a ratio of 0. `remote` is refused, because no agent can be asked."""
    return {
        "const": "parentbased_traceidratio",
        "probabilistic": "parentbased_traceidratio",
        "ratelimiting": "parentbased_ratelimiting",
    }.get(value.lower(), value)
