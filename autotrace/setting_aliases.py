"""What the variables of other systems (OTEL_*, JAEGER_*) mean in autotrace's words. None: says nothing that autotrace can follow."""

from __future__ import annotations


def otel_resource_service(value: str) -> str | None:
    """`service.name` out of OTEL_RESOURCE_ATTRIBUTES."""
    for item in value.split(","):
        key, _, content = item.partition("=")
        if key.strip() == "service.name" and content.strip():
            return content.strip()
    return None


def otel_exporter(value: str) -> str | None:
    """OTEL_TRACES_EXPORTER may name exporters that are not ours (otlp): then ours decides."""
    first = value.partition(",")[0].strip()
    return {"jaeger": "jaeger", "console": "console", "none": "none", "jaeger_thrift": "jaeger_thrift"}.get(first)


def otel_propagators(value: str) -> str | None:
    """OTEL_PROPAGATORS, less the formats that autotrace does not write (xray, ottrace); `none` writes nothing we can express."""
    ours = [name for name in (item.strip() for item in value.split(",")) if name in _FORMATS]
    return ",".join(ours) or None


def jaeger_propagation(value: str) -> str:
    """JAEGER_PROPAGATION, the jaeger clients' own names: jaeger, b3, w3c."""
    words = [item.strip() for item in value.split(",") if item.strip()]
    return ",".join({"b3": "b3multi", "w3c": "tracecontext,baggage"}.get(word, word) for word in words)


def jaeger_sampler(value: str) -> str:
    """JAEGER_SAMPLER_TYPE. A `const` of 0 is a ratio of 0; `remote` cannot be asked and starts as the clients' own default does."""
    return {
        "const": "parentbased_traceidratio",
        "probabilistic": "parentbased_traceidratio",
        "ratelimiting": "parentbased_ratelimiting",
    }.get(value.lower(), value)


_FORMATS = ("b3multi", "b3", "tracecontext", "baggage", "jaeger")
