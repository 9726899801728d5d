"""A program without tracing code: it relays what Java programs sent it, then sends each of them a record of its own.

python java_partner.py BROKER TOPIC PREFIX COUNT

From TOPIC come COUNT records, whose values are names; each is relayed, headers and all, to the topic PREFIX-{name}.
"""

from __future__ import annotations

import sys
from contextlib import closing

from kafka import KafkaConsumer, KafkaProducer

broker, topic, prefix, count = sys.argv[1:]
names: list[str] = []
consumer = KafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
with closing(KafkaProducer(bootstrap_servers=broker)) as producer, closing(consumer):
    for record in consumer:
        names.append(record.value.decode())
        producer.send(f"{prefix}-{names[-1]}", b"relayed", headers=record.headers)
        if len(names) == int(count):
            break
    for name in names:
        producer.send(f"{prefix}-{name}", b"own")
