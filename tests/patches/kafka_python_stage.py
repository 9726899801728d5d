"""kafka-python's tests stand on this: a class to inherit, whose `stage` is a topic of the test's own, with clients that close with it.

tests/end_to_end/test_kafka_python_versions.py runs its heirs with every version; KAFKA_BOOTSTRAP_SERVERS is then their broker.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from tests.recorded import Recorded, tags

_numbers = count()
IN_TRANSACTIONS = "transactional_id" in KafkaProducer.DEFAULT_CONFIG


class Stage:
    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.topic = f"topic-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"
        self._clients: list[Any] = []

    def partitioned(self, count: int, **settings: str) -> None:
        """The topic with so many partitions; without this it has one. `settings`: of the topic, with _ for a point."""
        admin = KafkaAdminClient(bootstrap_servers=self.servers)
        configs = {name.replace("_", "."): value for name, value in settings.items()}
        admin.create_topics([NewTopic(self.topic, count, 1, topic_configs=configs)])
        admin.close()

    def producer(self, **config: Any) -> KafkaProducer:
        made = KafkaProducer(bootstrap_servers=self.servers, **config)
        self._clients.append(made)
        return made

    def consumer(self, group_id: str | None = None, **config: Any) -> KafkaConsumer:
        """Of the topic from its beginning: partition 0, or with a group what that gives it."""
        config = {"consumer_timeout_ms": 1000, "auto_offset_reset": "earliest", "fetch_max_wait_ms": 100, **config}
        made = KafkaConsumer(bootstrap_servers=self.servers, group_id=group_id, **config)
        self._clients.append(made)
        if group_id is None:
            made.assign([self.partition(0)])
        else:
            made.subscribe([self.topic])
        return made

    def partition(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic, number)

    def sent(self, count: int, partition: int = 0) -> None:
        """Records of the values 0, 1, …, answered."""
        producer = self.producer()
        for future in [producer.send(self.topic, b"%d" % number, partition=partition) for number in range(count)]:
            future.get(30)

    def close(self) -> None:
        for each in self._clients:
            each.close()


def servers(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or str(request.getfixturevalue("kafka").bootstrap_servers)


class KafkaPython:
    @pytest.fixture
    def broker(self, request: pytest.FixtureRequest) -> str:
        return servers(request)

    @pytest.fixture
    def stage(self, broker: str, spans: Recorded) -> Iterator[Stage]:
        made = Stage(broker)
        yield made
        made.close()


def polled(consumer: KafkaConsumer, **named: Any) -> dict[TopicPartition, list[Any]]:
    """The first poll() that is not empty."""
    for _ in range(100):
        lists = consumer.poll(200, **named)
        if lists:
            return lists  # type: ignore[no-any-return]
    raise AssertionError("no record came")


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> None:
    """A future wakes who waits for it before it calls back; and rebalances take their time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def outcome(future: Any) -> tuple[str, Any]:
    """What the program is told of a record: ("offset", it), or ("error", the type's name in full)."""
    try:
        return "offset", future.get(30).offset
    except Exception as error:
        return "error", f"{type(error).__module__}.{type(error).__qualname__}"


def told(span: Any) -> tuple[str, Any]:
    """The same of its span."""
    found = tags(span)
    return ("error", found["error.type"]) if "error" in found else ("offset", found["messaging.kafka.offset"])
