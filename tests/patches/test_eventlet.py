"""eventlet: green threads and jobs of its thread pool work in the context they were spawned in."""

from __future__ import annotations

import pytest

from tests.programs import on_path, python

SEEN = """
import warnings; warnings.simplefilter("ignore")
import eventlet
{patch}
import sqlite3
import eventlet.greenpool, eventlet.tpool, eventlet.queue, eventlet.event
from opentelemetry import trace
tracer = trace.get_tracer("t")
def seen(*_):
    return trace.get_current_span().get_span_context().trace_id
{body}
"""


def run(body: str, patch: str = "eventlet.monkey_patch()") -> str:
    done = on_path(*python(SEEN.format(body=body, patch=patch)))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("patch", ["eventlet.monkey_patch()", ""])
def test_what_is_spawned_in_a_request_works_in_it(patch: str) -> None:
    body = (
        "with tracer.start_as_current_span('request') as span:\n"
        "    mine, pool, raw = span.get_span_context().trace_id, eventlet.GreenPool(2), []\n"
        "    found = [one.wait() for one in (eventlet.spawn(seen), eventlet.spawn_after(0.01, seen), pool.spawn(seen))]\n"
        "    found += list(pool.imap(seen, range(3))) + list(pool.starmap(seen, [(1,), (2,)]))\n"
        "    eventlet.spawn_n(lambda: raw.append(seen())); pool.spawn_n(lambda: raw.append(seen()))\n"
        "    pool.waitall(); eventlet.sleep(0.05)\n"
        "    found += raw + [eventlet.tpool.execute(seen)]\n"
        "print(set(found) == {mine}, len(found), seen())\n"
    )
    assert run(body, patch) == "True 11 0\n"


def test_a_green_thread_that_serves_every_request_leaves_the_first_with_its_end() -> None:
    body = (
        "jobs, found, worker = eventlet.queue.Queue(), [], None\n"
        "def work():\n    while True:\n        done = jobs.get(); found.append(seen()); done.send(1)\n"
        "for number in range(3):\n"
        "    with tracer.start_as_current_span('request') as span:\n"
        "        worker = worker or eventlet.spawn(work)\n"
        "        done = eventlet.event.Event(); jobs.put(done); done.wait()\n"
        "print([one != 0 for one in found])\n"
    )
    assert run(body) == "[True, False, False]\n"


def test_errors_reach_those_who_wait() -> None:
    body = (
        "import eventlet.debug; eventlet.debug.hub_exceptions(False)\n"
        "with tracer.start_as_current_span('request'):\n"
        "    for call in (lambda: eventlet.spawn(int, 'x').wait(), lambda: eventlet.tpool.execute(int, 'x'), lambda: eventlet.tpool.execute()):\n"
        "        try: call()\n"
        "        except Exception as error: print(type(error).__name__)\n"
    )
    assert run(body) == "ValueError\nValueError\nTypeError\n"
