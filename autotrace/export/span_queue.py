"""The queue of one process and the thread that empties it. What is sent, and how, is delivery's matter; forks are pipeline's.

The program's thread only appends to a deque. Everything else happens on the export thread, the flush at exit included: the
exiting thread waits for it, and no longer than its deadline, whatever hangs (a name server, a socket, an exporter).
"""

from __future__ import annotations

import _thread
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.export import background_thread
from autotrace.export.sender import Delivery
from autotrace.tracing import current, tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

SHORTEST = 0.01
"""Seconds between two flushes, at least."""
DAEMON_SECONDS = 0.1
"""The same for daemonic multiprocessing children, at most: Pool workers, which `with Pool()` ends without a word of farewell."""


class Outbox:
    """The thread starts with the first span, not before; it dies with the process and holds up nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.delivery = Delivery(settings)
        self.queue: deque[Span] = deque()
        self.sink: Callable[[Span], None] = self._make_sink()
        self.requests: deque[tuple[float, Any, list[bool]]] = deque()
        self.bell: Any = None
        self.ended: Any = None
        self.alive = False
        self.stopping = False
        self.deadline: float | None = None
        self.native = True
        self.greenlet: Any = None
        self._starting: deque[None] = deque((None,))  # whoever pops it starts the thread

    def _make_sink(self) -> Callable[[Span], None]:
        queue, append, count = self.queue, self.queue.append, len
        size = self.settings.queue_size
        half = max(1, size // 2)

        def sink(span: Span) -> None:
            """0.1 us. Never waits, takes no lock (it may be called by the garbage collector, in the midst of anything)."""
            waiting = count(queue)
            if 0 < waiting < half:
                append(span)
            elif waiting < size:
                append(span)
                self._wake()
            else:
                self.delivery.lost += 1  # no other thread can run within

        if self.settings.exporter != "none":
            return sink
        processors = tracer.provider.processors
        return lambda span: sink(span) if processors else None

    def _wake(self) -> None:
        if not self.alive:
            self.start()
        elif len(self.queue) > 1 and not self.delivery.outage:  # half full
            self._ring()

    def _ring(self) -> None:
        try:
            if self.bell.locked():
                self.bell.release()
        except RuntimeError:  # somebody else has just rung
            pass

    def start(self) -> None:
        """The locks are made here, as gevent may have replaced them since begin()."""
        try:
            self._starting.pop()
        except IndexError:
            return
        try:
            self.bell, self.ended = _thread.allocate_lock(), _thread.allocate_lock()
            self.bell.acquire()
            self.ended.acquire()
            self.native = background_thread.is_native()
            self.stopping = False
            self.alive = True
            background_thread.start(self._run)
        except BaseException as failure:
            self.alive = False
            self._starting.append(None)
            if not isinstance(failure, Exception):
                raise  # the program's own Ctrl-C
            # No more threads, or none at this late hour: leave() sends what there is.

    def _run(self) -> None:
        bell, ended = self.bell, self.ended
        try:
            current.put(Context({current.SUPPRESS_KEY: True}))
            self.greenlet = None if self.native else background_thread.greenlet()
            interval = max(SHORTEST, _interval(self.settings.flush_seconds))
            while not self.stopping:
                bell.acquire(True, interval)
                self._serve()
                if not self.stopping and time.monotonic() >= self.delivery.not_before:
                    self.delivery.drain(self.queue)
        except BaseException:
            if not self.delivery.abandoned:
                contained("the export thread")
        finally:
            self.alive = False
            self._starting.append(None)
            ended.release()
            if not self.stopping:
                self.resume()

    def pause(self) -> None:
        """End the thread, for a fork: if it is idle that takes 0.1 ms. One that is busy is not waited for long, unless it imports:
        a child forked meanwhile would find the import locks held for ever."""
        if self.alive and self.native:
            threads = _thread._count()
            self.stopping = True
            self._ring()
            if self.ended.acquire(True, 0.05) or (self.delivery.importing and self.ended.acquire(True, 1.0)):
                background_thread.wait_until_gone(threads)

    def resume(self) -> None:
        """The thread again, if there is something for it to do."""
        self.stopping = False
        if not self.alive and (self.queue or self.requests or self.delivery.in_hand):
            self.start()

    def _serve(self) -> None:
        """Those who wait for a flush."""
        while self.requests:
            deadline, answered, answer = self.requests.popleft()
            try:
                answer.append(self.delivery.drain(self.queue, deadline))
                if self.delivery.leaving:
                    self.delivery.close()
            finally:
                answered.release()

    def flush(self, seconds: float) -> bool:
        """Send what has been finished up to now. False: not all of it, or not within `seconds`."""
        until = time.monotonic() + seconds
        # The attempt ends a little before its time is over, so that there is time to say what became of it.
        deadline = until - 0.05 * seconds
        if not self.alive:
            self.resume()
        if not self.alive:
            return self._flush_here(deadline)
        answered, answer = _thread.allocate_lock(), list[bool]()
        answered.acquire()
        self.requests.append((deadline, answered, answer))
        self._ring()
        return answered.acquire(True, max(0.0, seconds)) and answer == [True]

    def _flush_here(self, deadline: float) -> bool:
        """Nobody else sends: there is no thread, because there is nothing to send or because none can be started any more."""
        if not self.queue and not self.delivery.in_hand and not self.delivery.leaving:
            return True
        token = current.put(Context({**current.get(), current.SUPPRESS_KEY: True}))
        try:
            well = self.delivery.drain(self.queue, deadline)
            if self.delivery.leaving:
                self.delivery.close()
            return well
        finally:
            current.leave(token)

    def of_child(self) -> Outbox:
        """For a forked child. This one, with a thread that exists only in the parent, is left behind."""
        self.stopping = self.delivery.abandoned = True  # gevent's greenlets do survive a fork
        background_thread.end(self.greenlet)
        told, self.delivery.outage = self.delivery.outage, True
        child = Outbox(self.settings)
        child.delivery.outage = child.delivery.hushed = told
        return child

    def leave(self) -> None:
        """The last flush. May be called more than once (by multiprocessing, then by atexit): all calls share one deadline."""
        self.delivery.leaving = True
        now = time.monotonic()
        if self.deadline is None:
            self.deadline = now + self.settings.exit_seconds
        well = self.flush(max(0.0, self.deadline - now))
        if not well and not self.delivery.outage:
            waiting = len(self.queue) + len(self.delivery.in_hand)
            self.delivery.give_up(waiting, f"not done within {self.settings.exit_seconds:g} s")
        if well:
            self.delivery.sum_up()
            self.pause()  # no thread of ours runs while the interpreter is taken down


def _interval(seconds: float) -> float:
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or not process.current_process().daemon:
        return seconds
    return min(seconds, DAEMON_SECONDS)
