"""Java's Kafka clients with three tracers: opentracing-kafka-client on Jaeger, Brave, OpenTelemetry.

Jars from Maven Central; needs a JDK of 11 or newer and Maven (installed from Debian's packages if root).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from test_services import maven
from test_services.cache import Unavailable, obtain
from test_services.processes import run_to_end

#: Exact on purpose: test data, not dependencies.
ARTIFACTS = (
    "io.opentracing.contrib:opentracing-kafka-client:0.1.15",
    "io.jaegertracing:jaeger-core:1.8.1",
    "io.zipkin.brave:brave-instrumentation-kafka-clients:5.18.1",
    "io.opentelemetry.instrumentation:opentelemetry-kafka-clients-2.6:2.9.0-alpha",
    "io.opentelemetry:opentelemetry-sdk:1.43.0",
    "org.apache.kafka:kafka-clients:3.9.2",
    "org.slf4j:slf4j-nop:1.7.36",
)


def command(source: Path) -> list[str]:
    """What runs a Java program of one file with these libraries; its arguments are to follow.

    cache.Unavailable without a JDK, Maven or Maven Central; ValueError if the program does not compile.
    """
    jars = maven.jars(f"java-kafka-{_digest(*ARTIFACTS)}", ARTIFACTS)
    java, javac = maven.program("java"), maven.program("javac")

    def compile_it(scratch: Path) -> Path:
        try:
            run_to_end([javac, "-cp", f"{jars}/*", "-d", scratch / "classes", source])
        except Unavailable as error:  # nothing that a test may pass over
            raise ValueError(f"{source}: {error}") from error
        return scratch / "classes"

    classes = obtain(f"{source.stem}-{_digest(source.read_text(), *ARTIFACTS)}", compile_it, "compiling with javac")
    # It lives seconds: see kafka_broker.py.
    quick = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [java, *quick, "-cp", f"{classes}:{jars}/*", source.stem]


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
