"""Kiali's search for traces, asked of a real Jaeger: by a service and by `istio.cluster_id`, without which it never
asks.

A service that has no sidecar's span of its own (a consumer of Kafka alone) is found by the process tag.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import uuid
from typing import Any

import pytest

from examples.eshop.shop import SERVICES as ESHOP
from examples.eshop.shop import Shop
from examples.harness.places import make_topic
from examples.mesh_arena.arena import SERVICES as ARENA
from examples.mesh_arena.arena import TOPIC, Arena
from test_services.jaeger import Jaeger
from tests.end_to_end.backends import Backends


@pytest.fixture
def run() -> str:
    """A tag that tells the traces of one test: Jaeger keeps those of all tests."""
    return uuid.uuid4().hex


def settings(jaeger: Jaeger, run: str, **cluster: str) -> dict[str, str]:
    return {"AUTOTRACE_ENDPOINT": jaeger.endpoint, "AUTOTRACE_TAGS": f"run={run}", **cluster}


def search(jaeger: Jaeger, service: str, tags: dict[str, str], seconds: float = 30) -> list[Any]:
    """The query of Kiali's client, until Jaeger finds a trace or the seconds are over."""
    deadline = time.monotonic() + seconds
    while True:
        now = int(time.time())
        window = {"start": (now - 600) * 1_000_000, "end": (now + 1) * 1_000_000, "limit": 100}
        query = urllib.parse.urlencode({"service": service, "tags": json.dumps(tags), **window})
        found: list[Any] = jaeger.query(f"/api/traces?{query}")["data"] or []
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_every_service_of_the_eshop_is_found(backends: Backends, jaeger: Jaeger, run: str) -> None:
    with Shop(backends.kafka, backends.database.url, settings(jaeger, run, AUTOTRACE_CLUSTER_ID="Kubernetes")) as shop:
        shop.checkout()
        found = {name: search(jaeger, name, {"istio.cluster_id": "Kubernetes", "run": run}) for name in ESHOP}
    assert {name: len(traces) for name, traces in found.items()} == dict.fromkeys(ESHOP, 1)
    assert len({traces[0]["traceID"] for traces in found.values()}) == 1
    assert search(jaeger, "eshop", {"istio.cluster_id": "east", "run": run}, seconds=0) == []


def test_every_service_of_the_mesh_arena_is_found_by_istio_s_own_variable(
    backends: Backends, jaeger: Jaeger, run: str
) -> None:
    make_topic(backends.kafka, TOPIC)
    with Arena(backends.kafka, settings(jaeger, run, ISTIO_META_CLUSTER_ID="east")) as arena:
        arena.kick_off()
        found = {name: search(jaeger, name, {"istio.cluster_id": "east", "run": run}) for name in ARENA}
    assert {name: len(traces) for name, traces in found.items()} == dict.fromkeys(ARENA, 1)
    assert len({traces[0]["traceID"] for traces in found.values()}) == 1


def test_without_the_name_of_the_cluster_kiali_finds_nothing(backends: Backends, jaeger: Jaeger, run: str) -> None:
    make_topic(backends.kafka, TOPIC)
    with Arena(backends.kafka, settings(jaeger, run)) as arena:
        arena.kick_off()
        assert len(search(jaeger, "ui", {"run": run})) == 1
        assert search(jaeger, "ui", {"istio.cluster_id": "Kubernetes", "run": run}, seconds=0) == []
