"""The ball: lies somewhere, belongs to the player who is near, and flies where that one shoots it. Shows itself."""

import json
import math
import os

from flask import Flask, request
from kafka import KafkaProducer

KAFKA = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
REACH = 15

app = Flask(__name__)
producer = KafkaProducer(
    bootstrap_servers=KAFKA.split(","), acks=0, value_serializer=lambda event: json.dumps(event).encode()
)
position = {"x": 50, "y": 50}


@app.put("/setPosition")
def set_position():
    position.update(request.get_json())
    display()
    return "", 204


@app.get("/tryGet")
def try_get():
    player = request.get_json()
    distance = math.dist((player["x"], player["y"]), (position["x"], position["y"]))
    return {**position, "success": distance < REACH}


@app.put("/shoot")
def shoot():
    shot = request.get_json()
    position.update(x=position["x"] + shot["dx"], y=position["y"] + shot["dy"])
    display()
    return "", 204


def display():
    producer.send("display", {"id": "ball", **position})


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8081")))
