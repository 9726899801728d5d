"""confluent-kafka: produce() of 100 bytes and poll(0), as its documentation says.

Process time includes librdkafka's threads.
"""

from __future__ import annotations

import os

from benchmarks.timed import Work

COUNT = 5000
NEEDS = ("kafka",)
CALLS = True
TOPIC = "benchmark-send"


def prepare(count: int) -> Work:
    import confluent_kafka

    producer = confluent_kafka.Producer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"], "linger.ms": 10})
    value = b"x" * 100
    producer.produce(TOPIC, value)
    producer.flush(60)

    def once() -> None:
        producer.produce(TOPIC, value)
        producer.poll(0)

    return Work(once, lambda: producer.flush(60))
