"""Keeps the orders: one row each."""

import os
from contextlib import closing

import psycopg2
from flask import Flask

DATABASE = os.environ.get("DATABASE_URL", "postgresql://localhost/app")

app = Flask(__name__)


@app.get("/createOrder")
def create_order():
    with closing(psycopg2.connect(DATABASE)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO eshop_orders (item) VALUES (%s)", ("teapot",))
    return "The order is created."


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8081")))
