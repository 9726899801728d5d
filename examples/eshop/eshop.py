"""The shop's front: a checkout calls three services, one after the other, and sends a record.

It answers their three texts.
"""

import os

import requests
from flask import Flask
from kafka import KafkaProducer

INVENTORY = os.environ.get("INVENTORY_URL", "http://localhost:8081")
BILLING = os.environ.get("BILLING_URL", "http://localhost:8082")
DELIVERY = os.environ.get("DELIVERY_URL", "http://localhost:8083")
KAFKA = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")

app = Flask(__name__)
producer = KafkaProducer(bootstrap_servers=KAFKA.split(","))


def ask(url):
    answer = requests.get(url, timeout=10)
    answer.raise_for_status()
    return answer.text


@app.get("/checkout")
def checkout():
    texts = [ask(f"{INVENTORY}/createOrder"), ask(f"{BILLING}/payment"), ask(f"{DELIVERY}/arrangeDelivery")]
    producer.send("eshop-topic", b"a checkout is done")
    return "<BR>".join(texts)


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8080")))
