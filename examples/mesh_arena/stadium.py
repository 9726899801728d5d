"""The stadium: has the ball put in the middle and a player begin, and shows the score."""

import json
import os

import requests
from flask import Flask
from kafka import KafkaProducer

BALL = os.environ.get("BALL_URL", "http://localhost:8081")
AI = os.environ.get("AI_URL", "http://localhost:8082")
KAFKA = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")

MIDDLE = {"x": 245, "y": 350}
GOAL = {"x": 245, "y": 47}

app = Flask(__name__)
producer = KafkaProducer(
    bootstrap_servers=KAFKA.split(","), acks=0, value_serializer=lambda event: json.dumps(event).encode()
)


@app.get("/centerBall")
def center_ball():
    requests.put(f"{BALL}/setPosition", json=MIDDLE, timeout=10).raise_for_status()
    requests.put(f"{AI}/play", json={"start": MIDDLE, "goal": GOAL}, timeout=10).raise_for_status()
    producer.send("display", {"id": "stadium-score", "text": "Locals: 0 - Visitors: 0"})
    return "The match has begun."


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8080")))
