"""Agents that trace the measured program: none, autotrace, autotrace of another checkout, or another agent.

Each other agent is one row of OTHERS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from autotrace.cli import bootstrap_folder
from test_services.cache import obtain
from test_services.pip_folder import run_pip

FORCE_FLUSH = "benchmarks.timed:force_flush"


class Agent(NamedTuple):
    """`path`: folders for PYTHONPATH. In `variables`, {sink} is the sink's URL.

    `flush`: the "module:function" that sends all spans.

    `begin`: the "module:function" for what the agent leaves to the program. It is called with whether to open a
    caller's span. `autotrace`: it is autotrace, of this or another checkout, and obeys autotrace's settings.
    """

    name: str
    path: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}
    flush: str = ""
    begin: str = ""
    autotrace: bool = False

    def set(self, **variables: str) -> Agent:
        """The same agent with more settings."""
        return self._replace(variables={**self.variables, **variables})

    def environment(self, sink: str, **more: str) -> dict[str, str]:
        """This process's environment without anybody's settings, plus this agent's, plus `more`."""
        prefixes = ("AUTOTRACE_", "OTEL_", "JAEGER_", "PYTHON", "DD_", "ELASTIC_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
        own = {name: value.format(sink=sink) for name, value in self.variables.items()}
        path = {"PYTHONPATH": os.pathsep.join(self.path)} if self.path else {}
        return {**kept, **path, **own, "BENCHMARK_FLUSH": self.flush, "BENCHMARK_BEGIN": self.begin, **more}


class Other(NamedTuple):
    """Another agent: its packages, the folder among them with its sitecustomize, its settings.

    `flush` and `begin` are those of Agent.
    """

    packages: tuple[str, ...]
    bootstrap: str
    variables: Mapping[str, str]
    flush: str
    begin: str = ""


OTHERS = {
    "opentelemetry": Other(
        (
            "opentelemetry-distro",
            "opentelemetry-exporter-otlp-proto-http",
            "opentelemetry-instrumentation-aiokafka",
            "opentelemetry-instrumentation-confluent-kafka",
            "opentelemetry-instrumentation-flask",
            "opentelemetry-instrumentation-kafka-python",
            "opentelemetry-instrumentation-psycopg2",
            "opentelemetry-instrumentation-requests",
            "opentelemetry-instrumentation-sqlite3",
            "opentelemetry-instrumentation-threading",
        ),
        "opentelemetry/instrumentation/auto_instrumentation",
        {
            "OTEL_SERVICE_NAME": "benchmark",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{sink}/v1/traces",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_BSP_MAX_QUEUE_SIZE": "65536",  # else it drops, and what is dropped costs less
        },
        FORCE_FLUSH,
    ),
    "elastic": Other(
        ("elastic-apm",),
        "elasticapm/instrumentation/wrapper",  # what elasticapm-run puts in front
        {
            "ELASTIC_APM_SERVICE_NAME": "benchmark",
            "ELASTIC_APM_SERVER_URL": "{sink}",
            "ELASTIC_APM_CENTRAL_CONFIG": "false",
            "ELASTIC_APM_CLOUD_PROVIDER": "none",
            "ELASTIC_APM_METRICS_INTERVAL": "0s",
            "ELASTIC_APM_TRANSACTION_MAX_SPANS": "1000000",  # else it drops after 500
            "ELASTIC_APM_SPAN_COMPRESSION_ENABLED": "false",  # else equal spans become one
        },
        "benchmarks.elastic:flush",
        "benchmarks.elastic:begin",
    ),
    "datadog": Other(
        ("ddtrace",),
        "ddtrace/bootstrap",  # what ddtrace-run puts in front
        {
            "DD_SERVICE": "benchmark",
            "DD_TRACE_AGENT_URL": "{sink}",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_CRASHTRACKING_ENABLED": "false",
        },
        "ddtrace.trace:tracer.flush",
    ),
}

BARE = Agent("bare")


def autotrace() -> Agent:
    """The agent of this checkout, every span kept and sent to the sink."""
    settings = {"AUTOTRACE_SERVICE_NAME": "benchmark", "AUTOTRACE_ENDPOINT": "{sink}/api/traces"}
    return Agent("autotrace", (bootstrap_folder(),), settings, FORCE_FLUSH, autotrace=True)


def checkout(root: Path, name: str) -> Agent:
    """The agent of the checkout at `root`, with this interpreter and its libraries."""
    return autotrace()._replace(name=name, path=(str(root / "bootstrap"), str(root)))


def other(name: str) -> Agent:
    """Another agent, in a cached folder, with the same interpreter and libraries. cache.Unavailable if pip fails."""
    row = OTHERS[name]

    def install(scratch: Path) -> Path:
        held = scratch / "held.txt"
        held.write_text("".join(f"{library}=={version}\n" for library, version in libraries().items()))
        run_pip("install", "--target", scratch / "packages", "--constraint", held, *row.packages)
        return scratch / "packages"

    # one folder for each set of library versions
    versions = "-".join([*libraries().values(), str(len(row.packages))])
    packages = obtain(
        f"benchmark-{name}-{sys.version_info[0]}.{sys.version_info[1]}-{versions}", install, "downloading with pip"
    )
    return Agent(name, (str(packages / row.bootstrap), str(packages)), row.variables, row.flush, row.begin)


def libraries() -> dict[str, str]:
    """The traced libraries and their versions here."""
    found = {}
    for name in ("requests", "urllib3", "flask", "kafka-python", "confluent-kafka", "aiokafka", "psycopg2-binary"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return found
