"""How traced programs exit: all ended spans are sent, a dead collector costs the deadline at most, all is quiet."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from test_services.receiver import Receiver
from tests.export.collector import answering, collecting, hanging, trickling
from tests.export.programs import end, nowhere, run, start

LATE = 5.0
"""Seconds by which a loaded machine may miss a deadline in these tests."""


PIPELINE = (
    "background_thread",
    "loss_report",
    "pipeline",
    "process_end",
    "sender",
    "sink",
    "span_queue",
    "span_weight",
)
"""The modules that an exporter of nothing needs."""


def names(receiver: Receiver) -> list[str]:
    return sorted(span.name for span in receiver.spans)


@pytest.mark.parametrize(
    ("ending", "code"),
    [("", 0), ("raise SystemExit(3)", 3), ("1/0", 1), ("import os; os.kill(os.getpid(), 2)", -signal.SIGINT)],
)
def test_spans_that_have_ended_are_sent_however_the_program_exits(
    receiver: Receiver, tmp_path: Path, ending: str, code: int
) -> None:
    ended = run(tmp_path, f"work('a', 'b')\n{ending}", receiver.http_url)
    assert names(receiver) == ["a", "b"]
    assert ended.code == code
    assert not [line for line in ended.said if "autotrace" in line]


def test_a_quiet_program_says_nothing_even_in_development_mode(receiver: Receiver, tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "import time; work('a'); time.sleep(0.2); work('b')",
        receiver.http_url,
        "-X",
        "dev",
        flush_seconds=0.05,
    )
    assert names(receiver) == ["a", "b"]
    assert (ended.code, ended.out, ended.said) == (0, "", [])


def test_spans_of_the_programs_own_exit_handlers_and_of_waiting_threads_are_sent(
    receiver: Receiver, tmp_path: Path
) -> None:
    source = """
import atexit, threading, time
atexit.register(work, 'at exit')
threading.Thread(target=lambda: (time.sleep(0.2), work('in a thread'))).start()
"""
    assert run(tmp_path, source, receiver.http_url).said == []
    assert names(receiver) == ["at exit", "in a thread"]


def test_a_thread_that_goes_on_ending_spans_does_not_disturb_the_exit(receiver: Receiver, tmp_path: Path) -> None:
    source = """
import threading
threading.Thread(target=lambda: [work('endless') for _ in iter(int, 1)], daemon=True).start()
work('last')
import time; time.sleep(0.3)
"""
    ended = run(tmp_path, source, receiver.http_url, flush_seconds=0.05, exit_seconds=0.5)
    assert ended.code == 0
    assert not [line for line in ended.said if not line.startswith("autotrace: ")]


def test_a_refused_collector_is_one_line_and_no_delay(tmp_path: Path) -> None:
    url = nowhere()
    began = time.monotonic()
    ended = run(tmp_path, "work('a', 'b')", url, exit_seconds=20)
    assert time.monotonic() - began < 20
    assert ended.code == 0
    assert ended.said == [f"autotrace: spans cannot be sent: {url}: Connection refused; 2 are lost"]


@pytest.mark.parametrize("behaviour", [hanging, trickling])
def test_a_hanging_collector_costs_the_deadline_and_no_more(tmp_path: Path, behaviour: object) -> None:
    with collecting(behaviour) as collector:  # type: ignore[arg-type]
        began = time.monotonic()
        ended = run(tmp_path, "work('a')", collector.url, exit_seconds=0.5)
        assert time.monotonic() - began < 0.5 + LATE
    assert ended.code == 0
    assert ended.said == [f"autotrace: spans cannot be sent: {collector.url}: no answer in time; 1 are lost"]


def test_a_batch_that_hangs_already_when_the_program_ends_costs_the_deadline_and_no_more(tmp_path: Path) -> None:
    source = "import time; work('a'); time.sleep(0.3); work('b')"
    with collecting(hanging) as collector:
        ended = run(tmp_path, source, collector.url, flush_seconds=0.05, exit_seconds=0.5)
    assert ended.code == 0
    assert ended.said == ["autotrace: spans cannot be sent: not done within 0.5 s; 2 are lost"]


def test_a_name_server_that_hangs_costs_the_deadline_and_no_more(tmp_path: Path) -> None:
    source = """
import _socket, time
_socket.getaddrinfo = lambda *args, **named: time.sleep(60)
work('a')
"""
    began = time.monotonic()
    ended = run(tmp_path, source, "http://collector.invalid:14268/api/traces", exit_seconds=0.5)
    assert time.monotonic() - began < 0.5 + 2 * LATE
    assert (ended.code, ended.said) == (0, ["autotrace: spans cannot be sent: not done within 0.5 s; 1 are lost"])


def test_a_batch_in_hand_at_the_end_is_neither_lost_nor_sent_twice(tmp_path: Path) -> None:
    def slow(collector: object, connection: object) -> None:
        while collector.read(connection):  # type: ignore[attr-defined]
            time.sleep(0.6)
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]

    source = "import time; work('first'); time.sleep(0.3); work('second')"
    with collecting(slow) as collector:
        ended = run(tmp_path, source, collector.url, flush_seconds=0.05, exit_seconds=20)
    assert ended.said == []
    assert [b"first" in body for body in collector.bodies] == [True, False]
    assert [b"second" in body for body in collector.bodies] == [False, True]


def test_an_impatient_second_interrupt_ends_the_wait_without_a_traceback(tmp_path: Path) -> None:
    with collecting(hanging) as collector:
        process = start(tmp_path / "program.py", "work('a')", collector.url, exit_seconds=60)
        while not collector.bodies:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        ended = end(process)
    assert ended.code == 0
    assert not [line for line in ended.said if "Traceback" in line or "Exception" in line]


def test_spans_cost_a_program_that_exports_none_nothing(tmp_path: Path) -> None:
    source = """
work('a'); trace.get_tracer_provider().force_flush()
import os, sys, threading
print(sorted(name for name in sys.modules if name.startswith(('autotrace.export.', 'http.client'))))
print(len(os.listdir('/proc/self/task')))
"""
    ended = run(tmp_path, source, "", exporter="none")
    assert ended.out.splitlines() == [
        str([f"autotrace.export.{name}" for name in PIPELINE]),
        "1",
    ]


def test_the_programs_own_threads_are_all_that_threading_shows_it(receiver: Receiver, tmp_path: Path) -> None:
    source = "import threading, time; work('a'); time.sleep(0.3); print(threading.active_count())"
    assert run(tmp_path, source, receiver.http_url, flush_seconds=0.05).out == "1\n"
    assert names(receiver) == ["a"]


def test_an_outage_is_one_line_and_its_end_another(tmp_path: Path) -> None:
    source = """
import sys, time
for line in sys.stdin:
    work(line.strip()); trace.get_tracer_provider().force_flush(2000)
    print(flush=True)
"""
    with collecting(answering(202, 503, 503, 503, 202)) as collector:
        process = start(tmp_path / "program.py", source, collector.url, flush_seconds=60)
        for name in ("a", "b", "c", "d", "e", "f"):
            assert process.stdin and process.stdout
            process.stdin.write(name + "\n")
            process.stdin.flush()
            process.stdout.readline()
        ended = end(process)
    assert ended.said == [
        f"autotrace: spans cannot be sent: {collector.url}: 503 Reason; 1 wait, kept until the queue is full",
        "autotrace: spans are sent again; 0 were lost",
    ]
    taken = b"".join(collector.bodies[:1] + collector.bodies[4:])
    assert [taken.count(b"\x00\x00\x00\x01" + name) for name in (b"a", b"b", b"c", b"d", b"e", b"f")] == [1] * 6


def test_the_exporters_own_traffic_is_not_traced(receiver: Receiver, tmp_path: Path) -> None:
    """Whatever an exporter does, on the export thread or in a flush at exit."""
    source = """
import sys, types
def export(spans, resource, deadline):
    work('traffic'); print(*(span.name for span in spans), trace.get_current_span().is_recording())
exporter = types.SimpleNamespace(export=export, close=lambda: work('closing'))
sys.modules['autotrace.export.jaeger.exporter'] = types.SimpleNamespace(make=lambda settings: exporter)
with _tracer.start_as_current_span('a'):
    work('b'); trace.get_tracer_provider().force_flush()
"""
    ended = run(tmp_path, source, "", flush_seconds=60)
    assert (ended.out, ended.said) == ("b False\na False\n", [])
