"""What test tools and daemons do to a process: guards, mocks, spies, frozen clocks, captured streams, closed
descriptors.

None of it meets the exporter, and the exporter meets none of it.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from test_services.receiver import Receiver
from tests.export.collector import answering, collecting
from tests.export.programs import end, nowhere, run, start

GUARDS = {
    "a guard's class": """
class Guarded(socket.socket):
    def connect(self, address): seen.append(address); raise RuntimeError('no network in unit tests')
put(socket, 'socket', Guarded)
""",
    "a method of the class": """
def connect(self, address): seen.append(address); raise RuntimeError('no network in unit tests')
put(socket.socket, 'connect', connect)
put(socket.socket, 'sendall', connect)
""",
    "mocks of everything": """
from unittest import mock
for name in ('socket', 'create_connection', 'getaddrinfo', 'gethostbyname', 'gethostname'):
    put(socket, name, mock.Mock(side_effect=lambda *a, **k: seen.append(a) or 1 / 0))
""",
    "a mock that answers": """
from unittest import mock
put(socket, 'socket', mock.MagicMock(side_effect=lambda *a, **k: seen.append(a) or mock.MagicMock()))
put(time, 'sleep', lambda seconds: seen.append(seconds))
import builtins
put(builtins, 'open', lambda *a, **k: seen.append(a) or mock.MagicMock())
""",
    "a mock of http.client": """
from unittest import mock
import http.client, urllib.request
for name in ('HTTPConnection', 'HTTPSConnection', 'HTTPResponse'):
    put(http.client, name, mock.Mock(side_effect=lambda *a, **k: seen.append(a) or 1 / 0))
put(urllib.request, 'urlopen', mock.Mock(side_effect=lambda *a, **k: seen.append(a) or 1 / 0))
""",
}
GUARDED = """
import socket, time
sleep, seen, undo = time.sleep, [], []
def put(place, name, value):
    undo.append((place, name, getattr(place, name))); setattr(place, name, value)
GUARD
work('guarded'); sleep(0.3)
for place, name, value in undo: setattr(place, name, value)
work('afterwards'); sleep(0.3)
print(seen)
"""


@pytest.mark.parametrize("way", ["http", "udp"])
@pytest.mark.parametrize("first", ["", "work('before'); time.sleep(0.2)\n"], ids=["from the start", "later"])
@pytest.mark.parametrize("guard", GUARDS)
def test_what_stands_in_socket_for_a_while_is_not_met(
    receiver: Receiver, tmp_path: Path, guard: str, first: str, way: str
) -> None:
    source = f"import time\n{first}" + GUARDED.replace("GUARD", GUARDS[guard])
    url = receiver.http_url if way == "http" else f"udp://127.0.0.1:{receiver.udp_port}"
    ended = run(tmp_path, source, url, flush_seconds=0.05)
    assert (ended.code, ended.out, ended.said) == (0, "[]\n", [])
    names = ["before"] * bool(first) + ["guarded", "afterwards"]
    assert [span.name for span in receiver.wait(len(names))] == names


def test_a_guard_that_cannot_be_passed_is_an_outage_not_the_end(receiver: Receiver, tmp_path: Path) -> None:
    """An audit hook hears of each connect, whoever calls it."""
    source = """
import sys, time
on = True
def guard(event, _):
    if on and event == 'socket.connect': raise RuntimeError('no network in unit tests')
sys.addaudithook(guard)
work('guarded'); time.sleep(0.4)
on = False; time.sleep(0.6)
work('afterwards')
"""
    ended = run(tmp_path, source, receiver.http_url, flush_seconds=0.05)
    url = receiver.http_url
    assert ended.said == [
        f"autotrace: spans cannot be sent: {url}: RuntimeError: no network in unit tests; "
        "1 wait, kept until the queue is full",
        "autotrace: spans are sent again; 0 were lost",
    ]
    assert [span.name for span in receiver.spans] == ["guarded", "afterwards"]


def test_an_exporter_that_could_not_be_made_is_made_later(receiver: Receiver, tmp_path: Path) -> None:
    source = """
import sys, time
sys.modules['autotrace.export.jaeger.exporter'] = None
work('lost'); time.sleep(0.3)
del sys.modules['autotrace.export.jaeger.exporter']
time.sleep(0.5); work('afterwards'); time.sleep(0.3)
"""
    ended = run(tmp_path, source, receiver.http_url, flush_seconds=0.05)
    assert len(ended.said) == 2 and "cannot be used" in ended.said[0]
    assert ended.said[1] == "autotrace: spans are sent again; 1 were lost"
    assert [span.name for span in receiver.spans] == ["afterwards"]


def test_the_debuglevel_of_http_client_prints_nothing_of_ours(receiver: Receiver, tmp_path: Path) -> None:
    source = "import http.client, time\nhttp.client.HTTPConnection.debuglevel = 1; work('a'); time.sleep(0.3)"
    ended = run(tmp_path, source, receiver.http_url, flush_seconds=0.05)
    assert (ended.out, ended.said) == ("", [])
    assert [span.name for span in receiver.spans] == ["a"]


FREEZERS = {
    "freezegun": "from freezegun import freeze_time\nfreezer = freeze_time('2012-01-14'); freezer.start()",
    "freezegun that ticks": "from freezegun import freeze_time\nfreezer = freeze_time('2012-01-14', tick=True); freezer.start()",
    "mocks": """
from unittest import mock
freezer = mock.patch.multiple('time', time_ns=lambda: 5, time=lambda: 5.0, monotonic=lambda: 5.0)
freezer.start()
""",
}


@pytest.mark.parametrize("freezer", FREEZERS)
def test_a_frozen_clock_reaches_neither_spans_nor_deadlines(receiver: Receiver, tmp_path: Path, freezer: str) -> None:
    source = f"""
import sys, time
sleep = time.sleep
work('before')
running = _tracer.start_span('across')
{FREEZERS[freezer]}
work('frozen'); running.end()
across = _tracer.start_span('back')
sleep(0.4)
print('sent', flush=True); sys.stdin.read()
freezer.stop()
across.add_event('e'); across.end()
"""
    began = time.time_ns() // 1000
    process = start(tmp_path / "program.py", source, receiver.http_url, flush_seconds=0.05)
    assert process.stdout and process.stdout.readline() == "sent\n"
    assert [span.name for span in receiver.wait(3)] == ["before", "frozen", "across"], "deadlines passed meanwhile"
    ended = end(process)
    assert (ended.code, ended.said) == (0, [])
    for span in receiver.wait(4):
        assert began - 1_000_000 < span.start_us < began + 30_000_000
        assert 0 <= span.duration_us < 30_000_000


CAPTURES = {
    "redirect_stderr": "import contextlib, io\nwith contextlib.redirect_stderr(io.StringIO()) as captured:",
    "an assignment": "import io, sys\ncaptured = sys.stderr = io.StringIO()\nif True:",
}


@pytest.mark.parametrize("capture", CAPTURES)
def test_our_lines_go_to_the_stderr_of_the_process(tmp_path: Path, capture: str) -> None:
    source = f"""
import time
{CAPTURES[capture]}
    work('a'); trace.get_tracer_provider().force_flush()
print(repr(captured.getvalue()))
"""
    ended = run(tmp_path, source, nowhere(), flush_seconds=60)
    assert ended.out == "''\n"
    assert "cannot be sent" in ended.said[0]


def test_a_program_without_stderr_gets_no_line_into_a_file_of_its_own(tmp_path: Path) -> None:
    """Its own file has the number 2 then, because that is the lowest free one."""
    source = f"""
import os, subprocess, sys
if len(sys.argv) == 1:
    os.close(2)
    os.execv(sys.executable, [sys.executable, *sys.argv, 'child'])
file = os.open({str(tmp_path / "file")!r}, os.O_RDWR | os.O_CREAT)
work('a'); trace.get_tracer_provider().force_flush()
print(file)
"""
    assert run(tmp_path, source, nowhere(), flush_seconds=60).out == "2\n"
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("again", ["files", "sockets", "nothing"])
def test_a_program_that_closes_all_descriptors_keeps_its_own(tmp_path: Path, again: str) -> None:
    source = f"""
import os, socket, tempfile, time
work('before'); trace.get_tracer_provider().force_flush()
os.closerange(3, 256)
files = [tempfile.TemporaryFile(buffering=0) for _ in range(4 * ({again!r} == 'files'))]
pairs = [socket.socketpair() for _ in range(4 * ({again!r} == 'sockets'))]
work('after'); trace.get_tracer_provider().force_flush()
for file in files: assert file.tell() == 0 and os.fstat(file.fileno()).st_size == 0
for one, other in pairs:
    one.sendall(b'x'); assert other.recv(100) == b'x'
    other.sendall(b'y'); assert one.recv(100) == b'y'
print('fine')
"""
    with collecting(answering(202)) as collector:
        ended = run(tmp_path, source, collector.url, flush_seconds=60)
    assert (ended.code, ended.out, ended.said) == (0, "fine\n", [])
    assert [b"before" in body for body in collector.bodies] == [True, False]
    assert collector.connections == 2
