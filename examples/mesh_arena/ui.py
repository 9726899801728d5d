"""The screen: hears where everything is, and draws it. Here it draws a line of text for each thing that moves."""

import json
import logging
import os
import signal
import sys

from kafka import KafkaConsumer

KAFKA = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")

logging.basicConfig(level=logging.INFO)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # through the `finally`: a consumer that leaves is not waited for

consumer = KafkaConsumer(
    "display",
    bootstrap_servers=KAFKA.split(","),
    group_id="ui",
    auto_offset_reset="earliest",
    value_deserializer=json.loads,
)
arena = {}


def draw(thing):
    arena[thing["id"]] = thing
    logging.info("%s: %s (%d on the screen)", thing["id"], thing.get("text") or (thing["x"], thing["y"]), len(arena))


try:
    for record in consumer:
        draw(record.value)
finally:
    consumer.close()
