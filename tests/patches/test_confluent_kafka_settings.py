"""confluent-kafka and the settings that all Kafka clients share: excluded topics, commits. On a real broker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import confluent_kafka
import pytest

from autotrace.semantics import topics
from autotrace.setting_types import any_of
from tests.recorded import Recorded, nothing_current, tags


@pytest.fixture(scope="module")
def broker(kafka: Any) -> str:
    return str(kafka.bootstrap_servers)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def configure(excluded: tuple[str, ...], commits: bool) -> None:
        monkeypatch.setattr(topics, "_excluded", any_of(excluded))
        monkeypatch.setattr(topics, "commits", commits)

    return configure


@pytest.fixture
def topic() -> str:
    return f"settings-{os.getpid()}-{time.time_ns()}"


@pytest.fixture
def consumer(broker: str, topic: str) -> Iterator[Any]:
    found = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "allow.auto.create.topics": True,
        }
    )
    found.subscribe([topic])
    yield found
    found.close()


def send(broker: str, topic: str, headers: Any) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": broker})
    producer.produce(topic, b"v", headers=headers)
    if hasattr(producer, "produce_batch"):
        producer.produce_batch(topic, [{"value": b"v"}])
    assert producer.flush(30) == 0


def polled(consumer: Any) -> Any:
    for _ in range(100):
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            return message
    raise AssertionError("no message came")


def test_a_topic_that_is_excluded_is_left_alone(
    broker: str, topic: str, consumer: Any, spans: Recorded, configured: Any
) -> None:
    configured(("other", "settings-*"), False)
    stale = [("b3", b"kept"), ("mine", b"1")]
    send(broker, topic, stale)
    assert polled(consumer).headers() == stale
    assert nothing_current()
    for _ in consumer.consume(1, 5):
        assert nothing_current()
    assert spans == []


@pytest.mark.parametrize("asked", [True, False])
def test_a_commit_is_told_where_it_waits_and_is_asked_for(
    broker: str, topic: str, consumer: Any, spans: Recorded, configured: Any, asked: bool
) -> None:
    send(broker, topic, None)
    message = polled(consumer)
    configured((), asked)
    consumer.commit(message)
    assert spans.clients == []
    consumer.commit(message, asynchronous=False)
    assert [span.name for span in spans.clients] == (["commit"] if asked else [])
    if asked:
        assert tags(spans.clients[0])["messaging.consumer.group.name"] == topic
