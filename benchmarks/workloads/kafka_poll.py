"""kafka-python: one record of the lists that poll() gives, with fetching. The records are kafka_iterate's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from benchmarks.timed import Work
from benchmarks.workloads.kafka_iterate import TOPIC, fill

__all__ = ["fill"]
COUNT = 5000
NEEDS = ("kafka",)
CALLS = False


def prepare(count: int) -> Work:
    import kafka

    consumer = kafka.KafkaConsumer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], auto_offset_reset="earliest"
    )
    consumer.assign([kafka.TopicPartition(TOPIC, 0)])
    records = _polled(consumer)
    next(records)
    return Work(lambda: next(records))


def _polled(consumer: Any) -> Iterator[Any]:
    while True:
        for records in consumer.poll(30000).values():
            yield from records
