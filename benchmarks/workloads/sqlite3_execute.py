"""sqlite3: cursor.execute() of one SELECT by key, in memory."""

from __future__ import annotations

import sqlite3

from benchmarks.timed import Work

COUNT = 8000
NEEDS = ()
CALLS = True


def prepare(count: int) -> Work:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE article (id INTEGER PRIMARY KEY, name TEXT)")
    cursor.execute("INSERT INTO article VALUES (7, 'pencil')")
    connection.commit()
    return Work(lambda: cursor.execute("SELECT name FROM article WHERE id = ?", (7,)))
