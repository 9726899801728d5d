"""gevent's patching never meets autotrace's thread in the middle of an import. More: tests/export/test_gevent.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gevent import events

from autotrace.patches import gevent
from autotrace.patching import Plan
from autotrace.tracing import forks
from test_services.receiver import Receiver
from tests.export.programs import end, start
from tests.programs import on_path, python

PROGRAM = """
import gevent.monkey, time
work('before')
time.sleep({wait})
gevent.monkey.patch_all()
import gevent
work('main')
gevent.joinall([gevent.spawn(work, 'greenlet')])
gevent.sleep(0.1)
work('last')
"""


@pytest.mark.parametrize("wait", [n / 1000 for n in (50, 55, 60, 65, 70, 75, 80, 90)])
def test_a_program_that_patches_while_we_import_loses_nothing(wait: float, tmp_path: Path) -> None:
    """The first flush, 50 ms after the first span, imports the exporter and http.client, which takes some 40 ms."""
    with Receiver() as receiver:
        ended = end(
            start(tmp_path / "program.py", PROGRAM.format(wait=wait), receiver.http_url, flush_seconds=0.05), 20
        )
    assert (ended.code, ended.said) == (0, [])
    assert sorted(span.name for span in receiver.spans) == ["before", "greenlet", "last", "main"]


def test_it_listens_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "subscribers", [])
    for _ in range(2):
        plan = Plan()
        gevent.patching(sys.modules["gevent.events"], plan)
        plan.apply()
    (listener,) = events.subscribers
    assert isinstance(listener, gevent.Listener)


def test_it_pauses_before_and_goes_on_after(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(forks, "prepare", lambda: seen.append("pause"))
    monkeypatch.setattr(forks, "unprepare", lambda: seen.append("go on"))
    listener = gevent.Listener(events.GeventWillPatchEvent, events.GeventDidPatchEvent)
    will = events.GeventWillPatchModuleEvent("time", sys, sys, [])
    listener(will)
    listener(object())
    listener(events.GeventDidPatchModuleEvent("time", sys, sys))
    assert seen == ["pause", "go on"]


SEEN = """
import gevent.monkey
{patch}
import sqlite3, threading
import gevent, gevent.pool, gevent.event
from opentelemetry import trace
tracer = trace.get_tracer("t")
def seen(*_):
    return trace.get_current_span().get_span_context().trace_id
{body}
"""


def run(body: str, patch: str = "gevent.monkey.patch_all()") -> str:
    done = on_path(*python(SEEN.format(body=body, patch=patch)))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("patch", ["gevent.monkey.patch_all()", ""])
def test_what_is_spawned_in_a_request_works_in_it(patch: str) -> None:
    body = (
        "with tracer.start_as_current_span('request') as span:\n"
        "    mine, group, pool = span.get_span_context().trace_id, gevent.pool.Group(), gevent.pool.Pool(2)\n"
        "    all_ = [gevent.spawn(seen), gevent.spawn_later(0.01, seen), gevent.Greenlet.spawn(seen), group.spawn(seen), pool.apply_async(seen)]\n"
        "    gevent.joinall(all_)\n"
        "    found = [one.value for one in all_] + pool.map(seen, range(3)) + list(pool.imap(seen, range(3))) + list(pool.imap_unordered(seen, range(3)))\n"
        "    threads = gevent.get_hub().threadpool\n"
        "    found += [threads.spawn(seen).get(), threads.apply(seen), *threads.map(seen, range(3))]\n"
        "print(set(found) == {mine}, len(found), seen())\n"
    )
    assert run(body, patch) == "True 19 0\n"


def test_a_greenlet_that_serves_every_request_leaves_the_first_with_its_end() -> None:
    body = (
        "from gevent.queue import JoinableQueue\n"
        "jobs, found, worker = JoinableQueue(), [], None\n"
        "def work():\n    while True:\n        jobs.get(); found.append(seen()); jobs.task_done()\n"
        "for number in range(3):\n"
        "    with tracer.start_as_current_span('request') as span:\n"
        "        worker = worker or gevent.spawn(work)\n        jobs.put(1); jobs.join()\n"
        "print([one != 0 for one in found])\n"
    )
    assert run(body) == "[True, False, False]\n"


def test_threads_of_a_patched_program_keep_threadings_rule() -> None:
    body = (
        "import concurrent.futures\n"
        "with tracer.start_as_current_span('request') as span:\n"
        "    mine, found = span.get_span_context().trace_id, []\n"
        "    thread = threading.Thread(target=lambda: (gevent.sleep(0.1), found.append(seen())))\n    thread.start()\n"
        "    pool = concurrent.futures.ThreadPoolExecutor(1)\n    found.append(pool.submit(seen).result())\n"
        "thread.join()\nprint([one == mine for one in found], pool.submit(seen).result())\n"
    )
    assert run(body) == "[True, True] 0\n"


def test_a_greenlet_gets_nothing_else_of_its_spawner_and_keeps_what_the_program_gave_it() -> None:
    body = (
        "import contextvars\n"
        "own = contextvars.ContextVar('own', default=0)\nown.set(1)\n"
        "with tracer.start_as_current_span('request') as span:\n"
        "    given = gevent.Greenlet(lambda: (own.get(), seen()))\n    given.gr_context = contextvars.Context()\n    given.start()\n"
        "    plain = gevent.spawn(own.get)\n    gevent.joinall([given, plain])\n"
        "print(plain.value, given.value)\n"
    )
    assert run(body) == "0 (0, 0)\n"
