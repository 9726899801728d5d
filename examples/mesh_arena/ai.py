"""A player: looks for the ball and, when it is near enough, shoots it at the goal. Shows itself."""

import json
import os

import requests
from flask import Flask, request
from kafka import KafkaProducer

BALL = os.environ.get("BALL_URL", "http://localhost:8081")
KAFKA = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")

app = Flask(__name__)
producer = KafkaProducer(
    bootstrap_servers=KAFKA.split(","), acks=0, value_serializer=lambda event: json.dumps(event).encode()
)


@app.put("/play")
def play():
    start, goal = request.get_json()["start"], request.get_json()["goal"]
    answer = requests.get(f"{BALL}/tryGet", json=start, timeout=10)
    answer.raise_for_status()
    if answer.json()["success"]:
        shot = {"dx": (goal["x"] - start["x"]) / 2, "dy": (goal["y"] - start["y"]) / 2}
        requests.put(f"{BALL}/shoot", json=shot, timeout=10).raise_for_status()
    producer.send("display", {"id": "player", **start})
    return "", 204


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8082")))
