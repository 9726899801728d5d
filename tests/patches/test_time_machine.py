"""time-machine in a traced program: spans keep the real time while it travels, whenever it was imported, and the
program its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.export.programs import environment

PROGRAM = """
import sqlite3, sys, time
spans = []
class Processor:
    def on_start(self, *_): ...
    def on_end(self, span): spans.append((span.name, span.start_time, span.end_time))
    def shutdown(self): ...
    def force_flush(self, timeout_millis=0): return True
from opentelemetry import trace
provider = trace.get_tracer_provider()
provider.add_span_processor(Processor())
connection = sqlite3.connect(':memory:')
before = time.time_ns()
across = trace.get_tracer('x').start_span('across')
import time_machine
with time_machine.travel(0, tick=TICK):
    connection.execute('select 1').fetchall()
    across.end()
    back = trace.get_tracer('x').start_span('back')
    print(int(time.time()))
back.end()
connection.execute('select 2').fetchall()
provider.force_flush(5000)
after = time.time_ns()
print([name for name, *_ in spans])
print([name for name, start, end in spans if not before <= start <= end <= after])
"""


@pytest.mark.parametrize("first", ["", "import time_machine\n"], ids=["imported late", "imported first"])
@pytest.mark.parametrize("tick", [True, False])
def test_spans_keep_the_real_time(tmp_path: Path, first: str, tick: bool) -> None:
    script = tmp_path / "program.py"
    script.write_text(first + PROGRAM.replace("TICK", str(tick)))
    ended = subprocess.run(
        [sys.executable, script], env=environment("", exporter="none"), capture_output=True, text=True, timeout=60
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == ["0", "['SELECT', 'across', 'back', 'SELECT']", "[]"]
