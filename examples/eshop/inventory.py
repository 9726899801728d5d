"""Keeps the orders, in memory."""

import os

from flask import Flask

app = Flask(__name__)


@app.get("/createOrder")
def create_order():
    return "The order is created."


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8081")))
