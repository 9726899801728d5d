"""Hears of every checkout, at least once, and has the customer notified."""

import logging
import os
import signal
import sys

import requests
from kafka import KafkaConsumer

NOTIFICATION = os.environ.get("NOTIFICATION_URL", "http://localhost:8084")
KAFKA = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")

logging.basicConfig(level=logging.INFO)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # through the `finally`: a consumer that leaves is not waited for

consumer = KafkaConsumer(
    "eshop-topic",
    bootstrap_servers=KAFKA.split(","),
    group_id="eshop-demo-app",
    auto_offset_reset="earliest",
    enable_auto_commit=False,
)
try:
    for record in consumer:
        logging.info("%s", record.value)
        requests.get(f"{NOTIFICATION}/sendEmail", timeout=10).raise_for_status()
        consumer.commit()
finally:
    consumer.close()
