"""The variables of other systems (OTEL_*, JAEGER_*) in autotrace's words; None for a value without one."""

from __future__ import annotations

from autotrace.setting_types import pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def otel_resource(value: str) -> dict[str, str]:
    """OTEL_RESOURCE_ATTRIBUTES: `key=value,…`, both percent-encoded."""
    return {_decoded(key): _decoded(content) for key, content in pairs(value).items()}


def otel_resource_service(value: str) -> str | None:
    """The `service.name` in OTEL_RESOURCE_ATTRIBUTES."""
    for item in value.split(","):
        key, _, content = item.partition("=")
        if key.strip() == "service.name" and content.strip():
            return _decoded(content.strip())
    return None


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote  # late, because it costs start-up and few values need it

    return unquote(text)


def otel_exporter(*known: str) -> Callable[[str], str]:
    """OTEL_TRACES_EXPORTER: the first of its exporters. One that autotrace lacks (otlp) leaves the choice to the
    default.
    """

    def first(value: str) -> str:
        name = value.partition(",")[0].strip()
        if name not in known:
            raise ValueError(f"autotrace has no exporter {name!r}, only " + ", ".join(known))
        return name

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
