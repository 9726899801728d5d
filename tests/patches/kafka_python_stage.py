"""Base of kafka-python's tests: a `stage` is a topic of the test's own, with clients that close at the test's end.

tests/end_to_end/test_kafka_python_versions.py runs them with every version, on the broker that KAFKA_BOOTSTRAP_SERVERS
names. A busy machine decides no test: deadlines are minutes, and only a test that fails waits for one. In a group,
kafka-python 3.0 needs that: if poll() times out while the client joins, it never applies its assignment, and gives no
record.
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
MINUTES = 120
"""Seconds."""

# kafka-python waits two seconds for a broker's first answer, and a group forgets a member after as few as ten.
for _kind in (KafkaProducer, KafkaConsumer, KafkaAdminClient):
    _names = {"api_version_auto_timeout_ms", "bootstrap_timeout_ms", "session_timeout_ms"}
    _kind.DEFAULT_CONFIG.update(dict.fromkeys(_names.intersection(_kind.DEFAULT_CONFIG), 60_000))


class ToTheEnd(KafkaConsumer):  # type: ignore[misc]
    """Its loop ends when no record is left. `consumer_timeout_ms` alone ends a loop whose first record is late too."""

    def __next__(self) -> Any:
        deadline = time.monotonic() + MINUTES
        while True:
            try:
                return super().__next__()
            except StopIteration:
                if self._closed or time.monotonic() > deadline or not self.is_behind():
                    raise

    def is_behind(self) -> bool:
        """Has it no partition yet, or are there records that it has not given?"""
        partitions = self.assignment() - self.paused()
        ends = self.end_offsets(list(partitions)) if partitions else {}
        return not self.assignment() or any(self.position(partition) < end for partition, end in ends.items())


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
        made = ToTheEnd(bootstrap_servers=self.servers, group_id=group_id, **config)
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
    lists = consumer.poll(MINUTES * 1000, **named)
    assert lists, "no record came"
    return lists  # type: ignore[no-any-return]


def wait_for(condition: Callable[[], Any]) -> None:
    """A future wakes its waiters before it calls back; and rebalances take their time."""
    deadline = time.monotonic() + MINUTES
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def outcome(future: Any) -> tuple[str, Any]:
    """What the future says: ("offset", the record's offset), or ("error", the type's name in full)."""
    try:
        return "offset", future.get(30).offset
    except Exception as error:
        return "error", f"{type(error).__module__}.{type(error).__qualname__}"


def outcome_of_span(span: Any) -> tuple[str, Any]:
    """outcome(), as the record's span says it."""
    found = tags(span)
    return ("error", found["error.type"]) if "error" in found else ("offset", found["messaging.kafka.offset"])
