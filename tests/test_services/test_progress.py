"""Whoever waits is told for what, before and meanwhile."""

from __future__ import annotations

import re
import threading
import time

import pytest

from test_services import progress


def test_work_is_announced_before_it_begins_and_again_while_it_lasts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.05)
    with progress.announced("downloading it"):
        assert capsys.readouterr().err == "test_services: downloading it\n"
        time.sleep(0.2)
        assert re.match(r"test_services: still downloading it: \d+ s\n", capsys.readouterr().err)


def test_nothing_is_said_after_work_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    threads = threading.active_count()
    with pytest.raises(OSError, match="refused"), progress.announced("downloading it"):
        raise OSError("refused")
    assert threading.active_count() == threads
    assert capsys.readouterr().err == "test_services: downloading it\n"
