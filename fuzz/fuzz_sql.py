"""Fuzz autotrace.sql with atheris: `make fuzz ARGS="-max_total_time=60 corpus"`. Arguments are libFuzzer's.

What it finds becomes a file of fuzz/corpus/sql, which the ordinary tests replay without atheris. Quadratic work in the regular
expressions cannot be counted from Python: a text repeated a thousand times makes it libFuzzer's time-out (-timeout, in seconds).
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["autotrace.sql"]):
    from fuzz.sql_promises import check

CORPUS = Path(__file__).parent / "corpus" / "sql"

if __name__ == "__main__":
    given = sys.argv[1:]
    defaults = ["-timeout=10", "-max_len=1024", "-len_control=0"]
    folders = [] if any(not word.startswith("-") for word in given) else [str(CORPUS)]
    atheris.Setup([sys.argv[0], *defaults, *given, *folders], check)
    atheris.Fuzz()
