"""One background thread that the program does not notice; a greenlet where gevent patches threads. Knows no spans.

It takes none of the program's signals, is in no list of threads, and ends before the program forks.
It is not a threading.Thread. That class waits for the new thread, takes locks that the program may hold at this moment
(because the garbage collector may end a span), and counts in threading.active_count().
"""

from __future__ import annotations

import _thread
import signal
import sys
from typing import TYPE_CHECKING, Any

from autotrace.tracing.clock import sleep

if TYPE_CHECKING:
    from collections.abc import Callable

_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


class BackgroundThread:
    """One life of the thread. Each start makes another, because gevent may have replaced the locks meanwhile."""

    __slots__ = ("_ended", "_greenlet", "_wakeup", "native", "stopping")

    def __init__(self) -> None:
        start_thread: Any = _thread.start_new_thread
        self.native = type(start_thread) is type(len)
        """False where gevent or eventlet turn threads into greenlets."""
        self.stopping = False
        """Asked to end. Whoever asked may take it back, as long as the thread has not ended."""
        self._greenlet: Any = None
        self._wakeup, self._ended = _thread.allocate_lock(), _thread.allocate_lock()
        self._wakeup.acquire()
        self._ended.acquire()

    def start(self, run: Callable[[BackgroundThread], None]) -> None:
        """Call run(self) on a new thread. Raises RuntimeError where the process can have no more threads.

        A thread inherits which signals are blocked, so all are blocked here for a moment. Otherwise the kernel may give
        this thread a signal of the program, which sees it late, or only at its exit, where it is lost.
        Faults are not blocked, because each thread must take its own.
        The program's own KeyboardInterrupt may come out of this too, whether the thread has started or not.
        """
        if not self.native:
            _thread.start_new_thread(self._main, (run,))
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        # Twice, because an exception may strike in the first `finally` too, and the program's signals must not stay
        # blocked.
        try:
            try:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
                _thread.start_new_thread(self._main, (run,))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def sleep(self, seconds: float) -> None:
        """For the thread itself: until wake() is called, or for `seconds`."""
        self._wakeup.acquire(True, seconds)

    def wake(self) -> None:
        try:
            if self._wakeup.locked():
                self._wakeup.release()
        except RuntimeError:  # another thread released the lock in between
            pass

    def stop(self, seconds: float) -> bool:
        """Ask the thread to end, and wait for its end. False: it is still busy after `seconds`."""
        threads = _thread._count()
        self.stopping = True
        self.wake()
        if not self._ended.acquire(True, seconds):
            return False
        _wait_until_fewer(threads)
        return True

    def orphan(self) -> None:
        """In a forked child: if the parent's thread was a greenlet, its copy here ends at once."""
        self.stopping = True
        kill = getattr(self._greenlet, "kill", None)
        if kill is not None:
            kill(block=False)

    def _main(self, run: Callable[[BackgroundThread], None]) -> None:
        try:
            gevent = sys.modules.get("gevent")
            if gevent is not None and not self.native:
                self._greenlet = gevent.getcurrent()
            run(self)
        finally:
            self._ended.release()


def _wait_until_fewer(threads: int) -> None:
    """4 ms at most. A thread that has released its last lock takes the GIL once more, and the kernel needs a moment."""
    for _ in range(20):
        sleep(0.0001)
        if _thread._count() < threads:
            sleep(0.0001)
            return
