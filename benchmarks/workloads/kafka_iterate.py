"""kafka-python: one step of `for record in consumer`, with fetching. The records carry a traced producer's headers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from benchmarks.timed import Work

COUNT = 5000
NEEDS = ("kafka",)
CALLS = False
TOPIC = "benchmark-iterate"
HEADERS = [
    ("X-B3-TraceId", b"80f198ee56343ba864fe8b2a57d3eff7"),
    ("X-B3-SpanId", b"e457b5a2e4d86bd1"),
    ("X-B3-Sampled", b"1"),
    ("traceparent", b"00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01"),
]


def fill(addresses: Mapping[str, str]) -> None:
    """Once for all that read, before the rounds, from a process that nobody traces."""
    _fill(addresses["KAFKA_BOOTSTRAP_SERVERS"])


@cache
def _fill(servers: str) -> None:
    import kafka

    producer = kafka.KafkaProducer(bootstrap_servers=servers, linger_ms=10)
    for _ in range(COUNT + COUNT // 10 + 100):
        producer.send(TOPIC, b"x" * 100, headers=HEADERS, partition=0)
    producer.flush(60)
    producer.close()


def prepare(count: int) -> Work:
    import kafka

    consumer = kafka.KafkaConsumer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], auto_offset_reset="earliest", consumer_timeout_ms=30000
    )
    consumer.assign([kafka.TopicPartition(TOPIC, 0)])
    records = iter(consumer)
    next(records)
    return Work(lambda: next(records))
