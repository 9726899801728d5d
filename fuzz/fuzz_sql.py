"""Fuzz autotrace.sql with atheris: `make fuzz ARGS="-max_total_time=60 FOLDER"`. The arguments are libFuzzer's.

FOLDER keeps the inputs that reached new code. An input that breaks a promise is written to fuzz/corpus/sql, and the
ordinary tests replay that folder without atheris. Python cannot count quadratic work inside a regular expression. So
some texts are repeated to 40,000 characters, where such work runs into libFuzzer's time-out of some seconds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["autotrace.sql"]):
    from fuzz.sql_promises import check

CORPUS = Path(__file__).parent / "corpus" / "sql"
DEFAULTS = ("-timeout=10", "-max_len=1024", "-len_control=0", f"-artifact_prefix={CORPUS}/")

if __name__ == "__main__":
    given = sys.argv[1:]
    if all(word.startswith("-") for word in given):
        given.append(tempfile.mkdtemp(prefix="fuzz-sql-"))
    atheris.Setup([sys.argv[0], *DEFAULTS, *given, str(CORPUS)], check)
    atheris.Fuzz()
