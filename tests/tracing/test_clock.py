"""Our clocks are the system's, and none of the functions that a tool may find and replace."""

from __future__ import annotations

import gc
import time

import pytest

from autotrace.tracing import clock, span


def test_they_tell_the_time() -> None:
    before, began = time.time_ns(), time.monotonic()
    assert before <= clock.time_ns() <= time.time_ns()
    assert began <= clock.monotonic() <= time.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - began >= 0.01


@pytest.mark.parametrize("name", ["time_ns", "monotonic", "sleep"])
def test_they_are_not_those_of_the_module_time(name: str) -> None:
    original = getattr(time, name)
    assert getattr(clock, name) is not original
    assert span.now is clock.time_ns
    holders = [one for one in gc.get_referrers(original) if isinstance(one, dict)]
    assert vars(clock) not in holders and vars(span) not in holders
