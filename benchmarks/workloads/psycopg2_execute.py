"""psycopg2: cursor.execute() of one SELECT with a parameter, on a real PostgreSQL over TCP."""

from __future__ import annotations

import os

from benchmarks.timed import Work

COUNT = 4000
NEEDS = ("postgresql",)
CALLS = True


def prepare(count: int) -> Work:
    import psycopg2

    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection.autocommit = True
    cursor = connection.cursor()
    return Work(lambda: cursor.execute("SELECT %s::int + 1", (7,)))
