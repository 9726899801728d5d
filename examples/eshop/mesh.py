"""The eshop in a mesh: each of its six services beside an Envoy, which everything to it and from it by HTTP passes."""

from __future__ import annotations

import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

from examples.eshop.shop import SERVERS, SERVICES, Shop
from examples.eshop.story import STEPS
from examples.harness.sidecars import SUFFIX
from test_services.envoy import Envoy, Way
from test_services.processes import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from test_services.envoy import Tracing

CALLERS = {"inventory": "eshop", "billing": "eshop", "delivery": "eshop", "notification": "consumer"}
"""Each has one caller; the eshop itself is asked from outside, at its sidecar."""
SIDECAR_SPANS = sum(1 if step.parent is None else 2 for step in STEPS if step.kind == "server")

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class MeshShop(Shop):
    """As Shop. `doors`: server -> the base URL at which its caller asks for it, a port of the caller's sidecar."""

    def __init__(self, kafka: str, database: str, settings: Mapping[str, str], tracing: Tracing) -> None:
        super().__init__(kafka, database, settings)
        ports = free_ports(len(SERVERS) + len(CALLERS))
        inward = dict(zip(SERVERS, ports, strict=False))
        outward = dict(zip(CALLERS, ports[len(SERVERS) :], strict=True))
        ways = {
            service: [Way(callee, outward[callee], inward[callee], False) for callee in _called_by(service)]
            for service in SERVICES
        }
        for server, url in self.urls.items():
            ways[server].append(Way(server, inward[server], int(url.rpartition(":")[2]), True))
        self.sidecars = [Envoy(service + SUFFIX, ways[service], tracing) for service in SERVICES]
        self.doors = {name: f"http://127.0.0.1:{outward.get(name, inward[name])}" for name in SERVERS}
        self._environment.update({f"{name.upper()}_URL": url for name, url in self.doors.items()})
        self._opened = ExitStack()

    def get(self, server: str, path: str) -> bytes:
        with _direct.open(self.doors[server] + path, timeout=30) as answer:
            return bytes(answer.read())

    def stop(self, service: str) -> None:
        """The program goes, its sidecar stays."""
        self._running[service].stop()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for sidecar in self.sidecars:
                opened.enter_context(sidecar)
            super().__enter__()
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._opened.close()


def _called_by(service: str) -> list[str]:
    return [callee for callee, caller in CALLERS.items() if caller == service]
