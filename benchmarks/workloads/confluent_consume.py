"""confluent-kafka: one record of the lists of 500 that Consumer.consume() gives. The records are kafka_iterate's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.timed import Work
from benchmarks.workloads.confluent_poll import reader
from benchmarks.workloads.kafka_iterate import fill

__all__ = ["fill"]
COUNT = 5000
NEEDS = ("kafka",)
CALLS = False


def prepare(count: int) -> Work:
    consumer = reader()
    records = _consumed(consumer)
    next(records)
    return Work(lambda: next(records), end=consumer.close)


def _consumed(consumer: Any) -> Iterator[Any]:
    while True:
        yield from consumer.consume(500, 0.2)
