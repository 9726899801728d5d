"""Processes that end without exit handlers: os._exit(), os.exec*(), the last thread of a child. Each sends its own
spans, once.
"""

from __future__ import annotations

import inspect
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from test_services.receiver import Receiver
from tests.export.collector import answering, collecting, hanging
from tests.export.programs import nowhere, run

FORKED = {
    "os._exit": """
import os
child = os.fork()
if not child:
    work('child'); os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
""",
    "os._exit in a finally, after an exception": """
import os
child = os.fork()
if not child:
    try:
        work('child'); 1 / 0
    finally:
        os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
""",
    "os._exit in a thread of the child": """
import os, threading, time
child = os.fork()
if not child:
    threading.Thread(target=lambda: (work('child'), os._exit(3))).start()
    time.sleep(30)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
""",
    "os._exit of a grandchild, and of its parent before": """
import os
reading, writing = os.pipe()
child = os.fork()
if not child:
    if os.fork(): os._exit(0)
    work('child'); os._exit(3)
os.close(writing); os.waitpid(child, 0); os.read(reading, 1)
""",
    "socketserver.ForkingMixIn": """
import socket, socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        work('child'); self.request.sendall(b'x')
class Server(socketserver.ForkingMixIn, socketserver.TCPServer): pass
with Server(('127.0.0.1', 0), Handler) as server, socket.create_connection(server.server_address) as client:
    server.handle_request(); assert client.recv(1) == b'x'
""",
    "billiard, which recycles": """
import billiard
def task(_): work('child')
pool = billiard.get_context('fork').Pool(1, maxtasksperchild=1)
pool.map(task, [1]); pool.close(); pool.join()
""",
    "billiard's Process": """
import billiard
one = billiard.get_context('fork').Process(target=work, args=('child',)); one.start(); one.join()
""",
    "exec": """
import os, sys
child = os.fork()
if not child:
    work('child'); os.execv(sys.executable, [sys.executable, '-c', 'pass'])
os.waitpid(child, 0)
""",
    "exec by name, with an environment": """
import os
child = os.fork()
if not child:
    work('child'); os.execvpe('true', ['true'], dict(os.environ))
os.waitpid(child, 0)
""",
    "the end of the thread that forked": """
import os, threading
def serve():
    child = os.fork()
    if not child: work('child'); return
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread = threading.Thread(target=serve); thread.start(); thread.join()
""",
    "the end of another thread than the one that forked": """
import os, threading, time
def serve():
    child = os.fork()
    if not child:
        threading.Thread(target=lambda: (time.sleep(0.3), work('child'))).start(); return
    os.waitpid(child, 0)
thread = threading.Thread(target=serve); thread.start(); thread.join()
""",
    "the end of a thread that a forked one has forked": """
import os, threading
def serve():
    child = os.fork()
    if not child:
        grandchild = os.fork()
        if not grandchild: work('child'); return
        os.waitpid(grandchild, 0); return
    os.waitpid(child, 0)
thread = threading.Thread(target=serve); thread.start(); thread.join()
""",
}


@pytest.mark.parametrize("way", FORKED)
def test_a_child_sends_its_spans_however_it_ends(receiver: Receiver, tmp_path: Path, way: str) -> None:
    source = f"work('parent')\n{FORKED[way]}"
    ended = run(tmp_path, source, receiver.http_url, "-W", "ignore", flush_seconds=60, exit_seconds=20)
    assert (ended.code, ended.said) == (0, [])
    assert Counter(span.name for span in receiver.spans) == Counter(["parent", "child"])


@pytest.mark.parametrize(
    "ending",
    ["os._exit(0)", "os.execv(sys.executable, [sys.executable, '-S', '-c', 'pass'])", "os.execlp('true', 'true')"],
)
def test_a_program_that_ends_itself_so_sends_its_spans(receiver: Receiver, tmp_path: Path, ending: str) -> None:
    source = f"import os, sys\nwork('flushed'); trace.get_tracer_provider().force_flush(); work('last'); {ending}"
    ended = run(tmp_path, source, receiver.http_url, flush_seconds=60)
    assert (ended.code, ended.said) == (0, [])
    assert Counter(span.name for span in receiver.spans) == Counter(["flushed", "last"])


def test_a_program_that_restarts_itself_sends_the_spans_of_both_lives(receiver: Receiver, tmp_path: Path) -> None:
    source = "import os, sys\nwork(f'life {len(sys.argv)}')\n"
    source += "if len(sys.argv) < 3: os.execv(sys.executable, [sys.executable, *sys.argv, 'again'])"
    assert run(tmp_path, source, receiver.http_url, flush_seconds=60).code == 0
    assert sorted(span.name for span in receiver.spans) == ["life 1", "life 2", "life 3"]


def test_an_exec_that_fails_lets_the_program_go_on(receiver: Receiver, tmp_path: Path) -> None:
    source = """
import os
work('before')
try: os.execvp('no such program', ['x'])
except FileNotFoundError: work('after')
"""
    assert run(tmp_path, source, receiver.http_url, flush_seconds=60).said == []
    assert sorted(span.name for span in receiver.spans) == ["after", "before"]


def test_nothing_waits_where_no_span_waits(tmp_path: Path) -> None:
    """A child that does no traced work ends at once, whatever its collector does."""
    source = """
import os, time
work('parent'); time.sleep(0.2)
began = time.monotonic()
for _ in range(20):
    child = os.fork()
    if not child: os._exit(0)
    os.waitpid(child, 0)
print((time.monotonic() - began) / 20)
"""
    with collecting(hanging) as collector:
        ended = run(tmp_path, source, collector.url, "-W", "ignore", flush_seconds=0.05, exit_seconds=0.3)
    assert float(ended.out) < 0.03


@pytest.mark.parametrize("way", ["os._exit(0)", "os.execvpe('no such program', ['x'], os.environ)"])
def test_a_hanging_collector_costs_the_deadline_once(tmp_path: Path, way: str) -> None:
    source = f"""
import os, time
child = os.fork()
if not child:
    work('child')
    began = time.monotonic()
    try: {way}
    except FileNotFoundError: print(time.monotonic() - began, flush=True); os._exit(0)
began = time.monotonic()
os.waitpid(child, 0)
print(time.monotonic() - began)
"""
    with collecting(hanging) as collector:
        ended = run(tmp_path, source, collector.url, flush_seconds=60, exit_seconds=0.5)
    assert 0.4 < float(ended.out.split()[0]) < 2.5
    assert "1" in ended.said[0] and "cannot be sent" in ended.said[0]


def test_a_child_tells_what_it_could_not_send(tmp_path: Path) -> None:
    source = "import os\nchild = os.fork()\nif not child: work('a', 'b'); os._exit(0)\nos.waitpid(child, 0)"
    url = nowhere()
    assert run(tmp_path, source, url, flush_seconds=60).said == [
        f"autotrace: spans cannot be sent: {url}: Connection refused; 2 are lost"
    ]


def test_an_os_exit_that_does_not_end_the_process_changes_nothing(receiver: Receiver, tmp_path: Path) -> None:
    source = """
import os
work('first')
try: os._exit('no number')
except TypeError: work('second')
from unittest import mock
with mock.patch('os._exit') as ending: os._exit(3)
ending.assert_called_once_with(3)
work('third')
"""
    assert run(tmp_path, source, receiver.http_url, flush_seconds=60).code == 0
    assert sorted(span.name for span in receiver.spans) == ["first", "second", "third"]


def test_the_functions_look_as_they_did(tmp_path: Path) -> None:
    names = ("_exit", "execv", "execve")
    source = "import inspect, os\nwork('a')\n" + "".join(
        f"print(inspect.signature(os.{name}), os.{name}.__module__, os.{name}.__qualname__)\n" for name in names
    )
    bare = [f"{inspect.signature(getattr(os, name))} posix {name}" for name in names]
    assert run(tmp_path, source, "", exporter="none").out.splitlines() == bare


def test_an_exit_does_not_chase_a_thread_that_goes_on_making_spans(tmp_path: Path) -> None:
    source = """
import threading, time
def work_for_ever():
    while True: work('endless'); time.sleep(0.0002)
threading.Thread(target=work_for_ever, daemon=True).start()
time.sleep(0.3)
import atexit; began = time.monotonic(); atexit._run_exitfuncs(); print(time.monotonic() - began)
"""
    with collecting(answering(202)) as collector:
        ended = run(tmp_path, source, collector.url, exit_seconds=10)
    assert (ended.code, ended.said) == (0, [])
    assert float(ended.out) < 3


def test_a_fork_does_not_wait_for_a_hanging_collector(tmp_path: Path) -> None:
    source = """
import os, time
work('parent'); time.sleep(0.3)
times = []
for _ in range(10):
    began = time.monotonic()
    child = os.fork()
    if not child: os._exit(0)
    times.append(time.monotonic() - began)
    os.waitpid(child, 0)
print(min(times))
"""
    with collecting(hanging) as collector:
        began = time.monotonic()
        ended = run(tmp_path, source, collector.url, "-W", "ignore", flush_seconds=0.05, exit_seconds=0.3)
        assert time.monotonic() - began < 10
    assert float(ended.out) < 0.02
