"""confluent-kafka: Consumer.poll() of one record, fetching included; the records are those of kafka_iterate."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.timed import Work
from benchmarks.workloads.kafka_iterate import TOPIC, fill

__all__ = ["fill"]
COUNT = 5000
NEEDS = ("kafka",)
CALLS = False


def prepare(count: int) -> Work:
    consumer = reader()
    assert consumer.poll(30) is not None
    return Work(lambda: consumer.poll(30), end=consumer.close)


def reader() -> Any:
    """A consumer at the topic's beginning."""
    import confluent_kafka

    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": "benchmark",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(TOPIC, 0, 0)])
    return consumer
