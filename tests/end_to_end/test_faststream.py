"""FastStream on aiokafka and confluent-kafka with a real broker: a handler's calls are in its record's trace."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from examples.harness.places import make_topic
from tests import programs
from tests.http_client.http_peer import peer

PROGRAM = Path(__file__).parent / "faststream_program.py"
SENT_TO = {"one": "one", "many": "many", "relayed": "relay"}
"""How a record is handled in the end -> the topic that it is sent to."""
COUNT = 3


def trace_of(way: str, number: int) -> str:
    return f"{list(SENT_TO).index(way) + 1:016x}{number + 1:016x}"


@pytest.fixture(scope="module", params=["kafka", "confluent"])
def calls(request: pytest.FixtureRequest, kafka: Any) -> dict[str, tuple[str | None, str | None]]:
    """Target of each REST call that the application made -> (trace id, parent's span id) that it carried."""
    prefix = f"faststream-{time.time_ns()}"
    for topic in ("one", "many", "relay", "relayed"):
        make_topic(kafka.bootstrap_servers, f"{prefix}-{topic}")
    with contextlib.closing(KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)) as producer:
        for way, topic in SENT_TO.items():
            for number in range(COUNT):
                headers = [("b3", f"{trace_of(way, number)}-00000000000000ff-1".encode())]
                producer.send(f"{prefix}-{topic}", b"%d" % number, headers=headers)
    with peer() as service:
        wanted = str(COUNT * len(SENT_TO))
        given = (request.param, kafka.bootstrap_servers, service.url, prefix, wanted)
        done = programs.traced(sys.executable, str(PROGRAM), *given)
        assert done.returncode == 0, done.stderr
        assert "autotrace" not in programs.without_paths(done.stderr)
        return {
            each.target: (each.header("X-B3-TraceId"), each.header("X-B3-ParentSpanId")) for each in service.received
        }


@pytest.mark.parametrize("way", SENT_TO)
def test_a_handlers_rest_call_is_in_its_records_trace(way: str, calls: dict[str, Any]) -> None:
    found = [calls[f"/{way}/{number}"][0] for number in range(COUNT)]
    assert found == [trace_of(way, number) for number in range(COUNT)]


def test_each_call_has_a_parent_of_its_own(calls: dict[str, Any]) -> None:
    """The record's span, not its producer's."""
    parents = [parent for _, parent in calls.values()]
    assert len(set(parents)) == len(calls)
    assert "00000000000000ff" not in parents
