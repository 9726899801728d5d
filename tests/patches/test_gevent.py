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
