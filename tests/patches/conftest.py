"""Tests of patches run in one traced process: spans go to a list, and a failure of ours that was contained fails the
test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import autotrace.activation
from autotrace import containment
from tests.recorded import Recorded, record

autotrace.activation.start_tracing()


@pytest.fixture
def spans() -> Iterator[Recorded]:
    """The spans finished during the test, in the order they ended. Nothing may be current before or after it."""
    containment.failures.clear()
    with record() as recorded:
        yield recorded
    assert containment.failures == {}, "autotrace failed inside and contained it"
