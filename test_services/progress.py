"""Slow preparations are announced on stderr: a line before one begins, and one every ten seconds until it ends."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 10.0


@contextmanager
def announced(what: str) -> Iterator[None]:
    """`what`: "downloading x from y". The block is the work itself."""
    ended = threading.Event()

    def remind() -> None:
        begun = time.monotonic()
        while not ended.wait(SECONDS):
            _say(f"still {what}: {time.monotonic() - begun:.0f} s")

    _say(what)
    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield
    finally:
        ended.set()
        reminder.join()


def _say(text: str) -> None:
    print(f"test_services: {text}", file=sys.stderr, flush=True)
