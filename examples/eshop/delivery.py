"""Arranges the delivery, which takes no database."""

import os

from flask import Flask

app = Flask(__name__)


@app.get("/arrangeDelivery")
def arrange_delivery():
    return "The delivery is arranged."


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8083")))
