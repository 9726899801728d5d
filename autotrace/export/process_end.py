"""Ends of a process that run no exit handler: os._exit(), os.exec*(), the last thread of a child. Spans are sent
before.

The functions of `os` are replaced, because nothing else tells of such an end. Where no span waits, they cost a look at
the queue. Limits: a name that was imported from `os` before, and the functions of `posix`, end the process at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.tracing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.export.span_queue import SpanQueue

    Queue = Callable[[], SpanQueue | None]


def watch(queue_in_force: Queue) -> None:
    exit_, execv_, execve_ = os._exit, os.execv, os.execve

    def _exit(status: int) -> None:
        _last_flush(queue_in_force())
        try:
            exit_(status)
        finally:
            _go_on(queue_in_force())

    def execv(path: Any, argv: Any, /) -> None:
        _flush(queue_in_force())
        execv_(path, argv)

    def execve(path: Any, argv: Any, env: Any) -> None:
        _flush(queue_in_force())
        execve_(path, argv, env)

    for ours, original in ((_exit, exit_), (execv, execv_), (execve, execve_)):
        for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(ours, attribute, getattr(original, attribute))
        setattr(os, original.__name__, ours)


def _last_flush(queue: SpanQueue | None) -> None:
    """No exception of any kind may keep the process from its end."""
    try:
        if queue is None or queue.sender.exiting:  # it has been
            return
        if queue.waits():
            queue.shutdown()
        else:
            queue.report.leave(0)
    except BaseException:
        pass


def _go_on(queue: SpanQueue | None) -> None:
    """The process did not end: `status` was no number, or a test has put a mock into `os`."""
    if queue is not None:
        queue.sender.exit_deadline = None


def _flush(queue: SpanQueue | None) -> None:
    """The program may go on, as execvp() does that tries one folder after another. An outage is waited for once."""
    try:
        if queue is not None and queue.waits() and monotonic() >= queue.sender.retry_at:
            queue.flush(queue.settings.exit_seconds)
    except Exception:
        contained("os.exec")


def last_thread_ends(queue: SpanQueue) -> None:
    """On the export thread, where a child that was forked in a thread has no thread of the program's left: it ends with
    this one.
    """
    queue.sender.exit_deadline = monotonic() + queue.settings.exit_seconds
    queue.drain(queue.sender.exit_deadline)
    queue.report.leave(len(queue.spans) + len(queue.sender.batch))
