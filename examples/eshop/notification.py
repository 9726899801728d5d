"""Sends an e-mail, or would: it keeps a row of each."""

import os
from contextlib import closing

import psycopg2
from flask import Flask

DATABASE = os.environ.get("DATABASE_URL", "postgresql://localhost/app")

app = Flask(__name__)


@app.get("/sendEmail")
def send_email():
    with closing(psycopg2.connect(DATABASE)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO eshop_emails (address) VALUES (%s)", ("ada@example.org",))
    return "The e-mail is sent."


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8084")))
