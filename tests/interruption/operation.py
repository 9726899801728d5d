"""What is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Operation(NamedTuple):
    run: Callable[[], Any]
    done: Callable[[], int]
    """How often run() reached the other side."""
