"""Takes the money: one row per payment."""

import os
from contextlib import closing

import psycopg2
from flask import Flask

DATABASE = os.environ.get("DATABASE_URL", "postgresql://localhost/app")

app = Flask(__name__)


@app.get("/payment")
def payment():
    with closing(psycopg2.connect(DATABASE)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO eshop_payments (cents) VALUES (%s)", (4200,))
    return "The payment is done."


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8082")))
