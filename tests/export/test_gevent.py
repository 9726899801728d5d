"""gevent in a traced program: also if it patches late, when the export thread and its locks are real, spans arrive."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from test_services.receiver import Receiver
from tests.export.collector import Collector, collecting, hanging
from tests.export.programs import Ended, end, nowhere, start

PATCH = "from gevent import monkey; monkey.patch_all(); import gevent, time\n"
BEFORE = "import time; work('before'); time.sleep(0.2)\n"
WITHIN = """
work('main')
gevent.joinall([gevent.spawn(work, f'greenlet {n}') for n in range(3)])
gevent.sleep(0.1)
work('last')
"""
NAMES = ["greenlet 0", "greenlet 1", "greenlet 2", "last", "main"]
WHEN = {
    "before the first span": (PATCH, []),
    "after the first span, while the thread waits": (BEFORE + PATCH, ["before"]),
    "after the first span, at once": ("work('before')\n" + PATCH, ["before"]),
}
TWO = dict(list(WHEN.items())[:2])


def run(folder: Path, source: str, endpoint: str, **settings: object) -> Ended:
    """It takes far less than 20 s; a program that hangs is killed."""
    return end(start(folder / "program.py", source, endpoint, **settings), 20)


def names(receiver: Receiver) -> list[str]:
    return sorted(span.name for span in receiver.spans)


@pytest.mark.parametrize(("beginning", "earlier"), WHEN.values(), ids=WHEN)
def test_spans_arrive_whenever_a_program_is_patched(
    receiver: Receiver, tmp_path: Path, beginning: str, earlier: list[str]
) -> None:
    ended = run(tmp_path, beginning + WITHIN, receiver.http_url, flush_seconds=0.05)
    assert (ended.code, ended.said) == (0, [])
    assert names(receiver) == sorted(NAMES + earlier)


@pytest.mark.parametrize(("beginning", "earlier"), WHEN.values(), ids=WHEN)
def test_a_flush_that_the_program_asks_for_answers(
    receiver: Receiver, tmp_path: Path, beginning: str, earlier: list[str]
) -> None:
    source = WITHIN + "print(trace.get_tracer_provider().force_flush(5000)); import os; os._exit(0)"
    ended = run(tmp_path, beginning + source, receiver.http_url, flush_seconds=60)
    assert (ended.code, ended.out, ended.said) == (0, "True\n", [])
    assert names(receiver) == sorted(NAMES + earlier)


@pytest.mark.parametrize(("beginning", "earlier"), WHEN.values(), ids=WHEN)
def test_a_forked_child_sends_its_own(receiver: Receiver, tmp_path: Path, beginning: str, earlier: list[str]) -> None:
    source = """
import os, sys
child = os.fork()
if child == 0:
    work('child')
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
work('parent')
"""
    ended = run(tmp_path, beginning + WITHIN + source, receiver.http_url, flush_seconds=0.05)
    assert (ended.code, ended.said) == (0, [])
    assert names(receiver) == sorted([*NAMES, *earlier, "child", "parent"])


@pytest.mark.parametrize(("beginning", "earlier"), TWO.values(), ids=TWO)
def test_a_full_queue_wakes_whoever_sends(
    receiver: Receiver, tmp_path: Path, beginning: str, earlier: list[str]
) -> None:
    source = "for n in range(40):\n    work(*'0123456789')\n    gevent.sleep(0.02)\n"
    ended = run(tmp_path, beginning + source, receiver.http_url, flush_seconds=60, queue_size=100)
    assert (ended.code, ended.said) == (0, [])
    assert len(receiver.spans) == 400 + len(earlier)


@pytest.mark.parametrize(("beginning", "earlier"), TWO.values(), ids=TWO)
def test_a_collector_that_hangs_costs_no_more_than_the_deadline(
    tmp_path: Path, beginning: str, earlier: list[str]
) -> None:
    with collecting(hanging) as collector:
        ended = run(tmp_path, beginning + WITHIN, collector.url, flush_seconds=60, exit_seconds=0.3)
    assert ended.code == 0
    assert [line for line in ended.said if not line.startswith("autotrace: spans cannot be sent")] == []
    assert len(ended.said) == 1


def test_a_collector_that_is_away_is_one_line(tmp_path: Path) -> None:
    ended = run(tmp_path, BEFORE + PATCH + WITHIN, nowhere(), flush_seconds=0.05)
    assert ended.code == 0
    assert len(ended.said) == 2 and "Connection refused" in ended.said[0] and "6 are lost" in ended.said[1]


def test_while_the_programs_loop_is_blocked_the_agent_does_not_run_and_nothing_is_lost(
    receiver: Receiver, tmp_path: Path
) -> None:
    source = PATCH + "work('a')\nmonkey.get_original('time', 'sleep')(0.3)\nwork('b')\n"
    assert run(tmp_path, source, receiver.http_url, flush_seconds=0.05).said == []
    assert names(receiver) == ["a", "b"]


@pytest.mark.parametrize("beginning", [PATCH, BEFORE + PATCH], ids=["before", "after"])
def test_tls_works_although_spans_were_sent_before(receiver: Receiver, tmp_path: Path, beginning: str) -> None:
    """If `ssl` was imported before, setting a property of gevent's SSL context may recurse without end."""
    source = beginning + "import ssl\nssl.create_default_context().minimum_version = ssl.TLSVersion.TLSv1_2\n"
    ended = run(tmp_path, source + "work('last')\n", receiver.http_url, flush_seconds=0.05)
    assert (ended.code, ended.said) == (0, [])


def slowly(collector: Collector, connection: socket.socket) -> None:
    """Take the request at once and answer a little later."""
    while collector.read(connection):
        time.sleep(0.4)
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("earlier", ["", "    gevent.sleep(0.4)\n"], ids=["the answer", "the connection"])
def test_a_fork_amid_a_request_leaves_the_request_to_the_parent(tmp_path: Path, earlier: str) -> None:
    """Greenlets survive a fork: the child's copy would read the parent's response and send its spans again."""
    source = f"""
import os, socket, sys
connect = socket.socket.connect
def connecting(self, address):
{earlier}    return connect(self, address)
socket.socket.connect = connecting
work('first')
gevent.sleep(0.2)
child = os.fork()
work('child' if child == 0 else 'parent')
gevent.sleep(1)
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    with collecting(slowly) as collector:
        ended = run(tmp_path, PATCH + source, collector.url, flush_seconds=0.05)
        assert (ended.code, ended.said) == (0, [])
        arrived = b"".join(collector.bodies)
    assert [arrived.count(name) for name in (b"first", b"child", b"parent")] == [1, 1, 1]
