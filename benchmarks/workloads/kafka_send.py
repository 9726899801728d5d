"""kafka-python: send() of 100 bytes. Process time includes the network thread and the acknowledgement."""

from __future__ import annotations

import os

from benchmarks.timed import Work

COUNT = 3000
NEEDS = ("kafka",)
CALLS = True
TOPIC = "benchmark-send"


def prepare(count: int) -> Work:
    import kafka

    # linger: batches of equal size with and without an agent
    producer = kafka.KafkaProducer(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], linger_ms=10)
    value = b"x" * 100
    producer.send(TOPIC, value).get(30)
    return Work(lambda: producer.send(TOPIC, value), lambda: producer.flush(60))
