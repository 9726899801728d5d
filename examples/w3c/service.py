"""POST /test takes a JSON list of {"url", "arguments"}; each url gets a POST of its arguments, in order.

No tracing code.
"""

import os

import requests
from flask import Flask, request

app = Flask(__name__)


@app.post("/test")
def call_each():
    for call in request.get_json():
        requests.post(call["url"], json=call["arguments"], timeout=10).raise_for_status()
    return "called"


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "5000")))
