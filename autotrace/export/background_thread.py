"""A thread that the program does not notice: takes none of its signals, is in none of its lists, is gone before it forks. Under gevent: a greenlet.

Not by threading.Thread: that waits for the new thread, takes locks that the program may hold at this very moment (a span may
be finished by the garbage collector), and is counted by threading.active_count().
"""

from __future__ import annotations

import _thread
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


def is_native() -> bool:
    """False where gevent or eventlet make greenlets of threads."""
    start: Any = _thread.start_new_thread
    return type(start) is type(len)


def start(run: Callable[[], None]) -> None:
    """Raises RuntimeError where there can be no more threads; and KeyboardInterrupt, the program's own, after which none was started.

    A signal that the kernel gave to this thread would reach the program late, in its exit even, where it would be lost. A
    thread inherits what is blocked, so it is blocked here for the moment. Faults stay each thread's own.
    """
    if not is_native():
        _thread.start_new_thread(run, ())
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
        _thread.start_new_thread(run, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def greenlet() -> Any:
    """The one that runs, where gevent makes greenlets of threads; else None."""
    gevent = sys.modules.get("gevent")
    return None if gevent is None or is_native() else gevent.getcurrent()


def end(greenlet: Any) -> None:
    """In a forked child: its copy of a greenlet of the parent's ends where it waits, before anything wakes it."""
    kill = getattr(greenlet, "kill", None)
    if kill is not None:
        kill(block=False)


def wait_until_gone(threads: int) -> None:
    """Until there are fewer than `threads`, 4 ms at most: a thread's last word takes the GIL once more, and the kernel a moment."""
    for _ in range(20):
        time.sleep(0.0001)
        if _thread._count() < threads:
            time.sleep(0.0001)
            return
