"""Processes made from traced ones: each sends its own spans, once, however it exits."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from test_services.receiver import Receiver
from tests.export.collector import Collector, collecting, hanging
from tests.export.programs import end, environment, nowhere, run, start


def counted(receiver: Receiver) -> Counter[str]:
    return Counter(span.name for span in receiver.spans)


def processes(receiver: Receiver, prefix: str) -> set[int]:
    return {span.process_tags["process.pid"] for span in receiver.spans if span.name.startswith(prefix)}


def test_a_forked_child_sends_its_own_spans_and_the_parent_its_own(receiver: Receiver, tmp_path: Path) -> None:
    source = """
import os, sys
work('parent before')
child = os.fork()
if not child:
    work('child'); sys.exit()
work('parent after'); os.waitpid(child, 0); work('parent later')
"""
    assert run(tmp_path, source, receiver.http_url).said == []
    assert counted(receiver) == Counter(["parent before", "child", "parent after", "parent later"])
    assert len(processes(receiver, "parent")) == 1
    assert not processes(receiver, "parent") & processes(receiver, "child")


def test_a_fork_in_the_middle_of_flushes_neither_doubles_nor_loses(receiver: Receiver, tmp_path: Path) -> None:
    source = """
import os, sys, time
for i in range(40):
    work(f'parent {i}')
    child = os.fork()
    if not child:
        work(f'child {i}'); sys.exit()
    work(f'parent again {i}')
    if i % 4 == 3: time.sleep(0.02)
while True:
    try: os.wait()
    except ChildProcessError: break
"""
    # A thread that stays busy is not waited for, and Python 3.12 warns. That may happen here, and is not tested here.
    warnings = ("-W", "ignore::DeprecationWarning")
    ended = run(tmp_path, source, receiver.http_url, *warnings, flush_seconds=0.01, exit_seconds=20, seconds=60)
    assert (ended.code, ended.said) == (0, [])
    expected = [f"{who} {i}" for who in ("parent", "child", "parent again") for i in range(40)]
    assert counted(receiver) == Counter(expected)


def test_a_parent_goes_on_flushing_after_a_fork_without_another_span(receiver: Receiver, tmp_path: Path) -> None:
    source = """
import os, sys
work('waiting')
def fork(): # not by __main__, after which Python 3.12 has it wait for another span
    child = eval('os.fork()', {'os': os, '__name__': 'library'})
    if not child: os._exit(0)
fork()
sys.stdin.read(1)
"""
    process = start(tmp_path / "program.py", source, receiver.http_url, flush_seconds=0.5)
    assert [span.name for span in receiver.wait(1)] == ["waiting"]
    assert end(process).code == 0


def test_a_program_that_forks_sees_no_warning_of_the_export_thread(receiver: Receiver, tmp_path: Path) -> None:
    """Python 3.12 and later warn of a fork in a process with several threads. Here the threads are counted."""
    source = """
import os, time
threads = []
def count(): threads.append(len(os.listdir('/proc/self/task')))
os.register_at_fork(before=count)  # runs before the agent's, which was registered first
work('sent'); time.sleep(0.5); count()
work('waiting')
child = os.fork()
if not child: count(); print(*threads, flush=True); os._exit(0)
os.waitpid(child, 0)
work('after')
trace.get_tracer_provider().force_flush(); count(); print(*threads)
"""
    ended = run(tmp_path, source, receiver.http_url, flush_seconds=0.05)
    assert ended.out == "2 2 1\n2 2 2\n"
    assert ended.said == []
    assert counted(receiver) == Counter(["sent", "waiting", "after"])


def test_a_program_that_forks_all_the_time_goes_on_sending(receiver: Receiver, tmp_path: Path) -> None:
    """Each fork ends the thread; its interval goes on."""
    source = """
import os, time
ends = time.monotonic() + 1.5
work('first')
while time.monotonic() < ends:
    child = os.fork()
    if not child: os._exit(0)
    os.waitpid(child, 0); work('more'); time.sleep(0.02)
os.kill(os.getpid(), 9)
"""
    assert run(tmp_path, source, receiver.http_url, "-W", "ignore", flush_seconds=0.4).code == -9
    assert counted(receiver)["first"] == 1
    assert counted(receiver)["more"] > 5


def slow_to_answer(collector: Collector, connection: socket.socket) -> None:
    """The head in two halves, then the body, so that a fork meets the exporter in each of them."""
    while collector.read(connection):
        for part in (b"HTTP/1.1 202 Acc", b"epted\r\nContent-Length: 2\r\n", b"\r\no", b"k"):
            time.sleep(0.03)
            connection.sendall(part)


def test_a_fork_amid_an_answer_neither_hangs_nor_doubles_nor_loses(tmp_path: Path) -> None:
    source = """
import os, sys, time
slowest = 0
for i in range(30):
    work(f'parent {i:02}.')
    time.sleep(0.017)
    began = time.monotonic()
    child = os.fork()
    if not child:
        work(f'child {i:02}.'); sys.exit()
    slowest = max(slowest, time.monotonic() - began)
while True:
    try: os.wait()
    except ChildProcessError: break
print(slowest)
"""
    with collecting(slow_to_answer) as collector:
        ended = run(tmp_path, source, collector.url, "-W", "ignore", flush_seconds=0.01, exit_seconds=20, seconds=60)
        arrived = Counter(re.findall(rb"(?:parent|child) [0-9]{2}\.", b"".join(collector.bodies)))
    assert (ended.code, ended.said) == (0, [])
    assert arrived == Counter(b"%b %02d." % (who, i) for who in (b"parent", b"child") for i in range(30))
    assert float(ended.out) < 0.5


MULTI = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
def task(i):
    work(f'child {i}'); return i
if __name__ == '__main__':
    context = multiprocessing.get_context('METHOD')
    work('parent')
    BODY
"""
WAYS = {
    "Process": """
    many = [context.Process(target=task, args=(i,)) for i in range(4)]
    for one in many: one.start()
    for one in many: one.join()
""",
    "Pool closed and joined": """
    pool = context.Pool(2)
    pool.map(task, range(4)); pool.close(); pool.join()
""",
    "Pool with maxtasksperchild": """
    pool = context.Pool(2, maxtasksperchild=1)
    pool.map(task, range(4), 1); pool.close(); pool.join()
""",
    "ProcessPoolExecutor": """
    with ProcessPoolExecutor(2, mp_context=context) as executor: list(executor.map(task, range(4)))
""",
}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("way", WAYS)
def test_children_of_multiprocessing_flush_on_their_way_out(
    receiver: Receiver, tmp_path: Path, method: str, way: str
) -> None:
    source = MULTI.replace("METHOD", method).replace("BODY", WAYS[way].strip())
    ended = run(tmp_path, source, receiver.http_url, flush_seconds=60, exit_seconds=20)
    assert (ended.code, ended.said) == (0, [])
    assert counted(receiver) == Counter(["parent", *(f"child {i}" for i in range(4))])
    assert not processes(receiver, "parent") & processes(receiver, "child")
    assert {span.service for span in receiver.spans} == {"program"}


def test_a_child_in_which_tracing_begins_flushes_too(receiver: Receiver, tmp_path: Path) -> None:
    script = tmp_path / "late.py"
    script.write_text("""
import multiprocessing, sys
def task():
    assert not [name for name in sys.modules if name.startswith('opentelemetry')]
    from opentelemetry import trace
    trace.get_tracer('x').start_span('late').end()
if __name__ == '__main__':
    one = multiprocessing.get_context('fork').Process(target=task); one.start(); one.join(); sys.exit(one.exitcode)
""")
    ended = subprocess.run([sys.executable, script], env=environment(receiver.http_url), timeout=30)
    assert ended.returncode == 0
    assert counted(receiver) == Counter(["late"])


def test_a_pool_that_is_terminated_loses_at_most_the_last_moment(receiver: Receiver, tmp_path: Path) -> None:
    """`with Pool()` kills its workers by SIGTERM. Spans that ended a while before are sent, whatever flush_seconds."""
    source = MULTI.replace("METHOD", "fork").replace(
        "BODY", "with context.Pool(2) as pool: pool.map(task, range(4)); sys.stdin.read()"
    )
    process = start(tmp_path / "program.py", source, receiver.http_url, flush_seconds=60)
    receiver.wait(4)
    ended = end(process)
    assert (ended.code, ended.said) == (0, [])
    assert counted(receiver) == Counter(["parent", *(f"child {i}" for i in range(4))])


def test_a_child_of_a_process_in_an_outage_does_not_repeat_its_line_and_tells_its_own_losses(tmp_path: Path) -> None:
    source = """
import os, sys
work('parent'); trace.get_tracer_provider().force_flush()
child = os.fork()
work('both')
if child: os.waitpid(child, 0)
"""
    url = nowhere()
    ended = run(tmp_path, source, url, flush_seconds=60)
    refused = f"autotrace: spans cannot be sent: {url}: Connection refused; "
    assert ended.said == [
        f"{refused}1 wait, kept until the queue is full",
        f"{refused}1 are lost",
        f"{refused}2 are lost",
    ]


def test_a_child_of_a_process_whose_collector_hangs_leaves_within_its_deadline(tmp_path: Path) -> None:
    source = """
import os, sys, time
work('parent'); time.sleep(0.2)
child = os.fork()
work('both')
if child: os.waitpid(child, 0)
"""
    with collecting(hanging) as collector:
        warnings = ("-W", "ignore::DeprecationWarning")  # of the fork while the export thread hangs
        ended = run(tmp_path, source, collector.url, *warnings, flush_seconds=0.05, exit_seconds=0.3)
    assert ended.code == 0
    assert all("cannot be sent" in line for line in ended.said)


def test_the_thread_may_start_while_another_imports_multiprocessing(receiver: Receiver, tmp_path: Path) -> None:
    """Names are missing in a module that is being imported."""
    source = """
import importlib.util, sys, time
for name in ('multiprocessing', 'multiprocessing.process', 'multiprocessing.util', 'threading'):
    spec = importlib.util.find_spec(name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec._initializing = True
work('a'); time.sleep(0.3)
import os
child = os.fork()
if not child: work('b'); os._exit(0)
os.waitpid(child, 0)
for name in ('multiprocessing', 'multiprocessing.process', 'multiprocessing.util', 'threading'): del sys.modules[name]
"""
    ended = run(tmp_path, source, receiver.http_url, "-W", "ignore", flush_seconds=0.05)
    assert [line for line in ended.said if "autotrace: " in line] == []
    assert counted(receiver) == Counter("ab")
