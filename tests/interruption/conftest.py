"""The tests of a driver that a setting names run as those of patches do."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.patches.conftest import spans

__all__ = ["spans"]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a strike leaves as garbage ends its spans when it is collected: here, not in a later test."""
    yield
    gc.collect()
