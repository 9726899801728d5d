"""Database drivers: a span per statement and per failed connect. Knows no driver."""
