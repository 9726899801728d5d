"""Bytes to a collector within a deadline: the shared part of HTTP and UDP. Knows no format."""

from __future__ import annotations

import weakref
from typing import Any

from autotrace.tracing import forks
from autotrace.tracing.clock import monotonic


class Unavailable(OSError):
    """Nobody took the bytes; somebody may take the same bytes later."""


class Rejected(Exception):
    """The collector refused these bytes, and would refuse them again."""


class Transport:
    """One connection that is kept between calls, in the process that made it. Messages name `target`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.connection: Any = None
        _open.add(self)

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


def seconds_left(deadline: float) -> float:
    """Raises TimeoutError if the deadline, a time.monotonic(), is over."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def reason(failure: BaseException) -> str:
    """One line for people."""
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    if isinstance(failure, OSError) and failure.strerror:
        return str(failure.strerror)
    return f"{type(failure).__name__}: {first_line(str(failure).encode())}"


def first_line(text: bytes) -> str:
    return text.strip().partition(b"\n")[0][:200].decode("utf-8", "replace").strip()  # say() masks control characters


_open: weakref.WeakSet[Transport] = weakref.WeakSet()


def _close_all() -> None:
    """A forked child closes its copies of the parent's connections and sends nothing over those."""
    for transport in list(_open):
        try:
            transport.close()
        except Exception:
            pass


forks.in_child(_close_all)
