"""Jaeger answers its query API, and gives back what it was sent."""

from __future__ import annotations

import json
import os
import time
import urllib.request

import pytest

from test_services.jaeger import Jaeger


def _send(jaeger: Jaeger, trace_id: str, service: str) -> None:
    """One span over OTLP/HTTP in JSON: a format that Jaeger reads and that needs no library here."""
    now = time.time_ns()
    span = {"traceId": trace_id, "spanId": trace_id[:16], "name": "work", "kind": 1}
    span |= {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1_000_000)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    url = f"http://127.0.0.1:{jaeger.ports['otlp_http']}/v1/traces"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def test_a_trace_that_it_does_not_know_is_empty(jaeger: Jaeger) -> None:
    assert jaeger.trace(os.urandom(16).hex(), seconds=0) == {"spans": [], "processes": {}}


def test_the_query_api_answers_with_the_service_graph(jaeger: Jaeger) -> None:
    assert isinstance(jaeger.dependencies(), list)


def test_gives_back_the_trace_that_was_sent(jaeger: Jaeger) -> None:
    trace_id = os.urandom(16).hex()
    _send(jaeger, trace_id, "shop")
    trace = jaeger.trace(trace_id, spans=1)
    assert [span["operationName"] for span in trace["spans"]] == ["work"]
    assert [process["serviceName"] for process in trace["processes"].values()] == ["shop"]


def test_two_share_no_port_and_one_stops_in_order(jaeger: Jaeger, capsys: pytest.CaptureFixture[str]) -> None:
    """No listener may stay on its well-known port, where the user's own Jaeger may be."""
    with Jaeger() as second:
        assert not set(second.ports.values()) & set(jaeger.ports.values())
        assert second.trace(os.urandom(16).hex(), seconds=0)["spans"] == []
    assert "killed" not in capsys.readouterr().err
