"""The queue of finished spans of one process, and the thread that empties it. Forks are pipeline's matter.

The program's thread only appends to a deque. Everything else happens on the export thread, the flush at exit included.
The exiting thread waits until its deadline at most, whatever hangs: a name server, a socket, an exporter.
"""

from __future__ import annotations

import _thread
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context

from autotrace.containment import contained, reraise_interruption
from autotrace.export import process_end
from autotrace.export.background_thread import BackgroundThread
from autotrace.export.loss_report import ORPHANED, WORKING, LossReport
from autotrace.export.sender import Sender
from autotrace.export.sink import make_sink
from autotrace.tracing import current, forks
from autotrace.tracing.clock import monotonic

if TYPE_CHECKING:
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

SHORTEST_INTERVAL = 0.01
"""Seconds between two flushes, at least."""
SHORT_LIVED_INTERVAL = 0.1
"""Seconds between two flushes, at most: of daemonic children of multiprocessing, because `with Pool()` kills those;
of rootless processes, because they end with the program's last thread."""


class SpanQueue:
    """The thread starts with the first span. It dies with the process and delays nothing."""

    def __init__(self, settings: Settings, report: LossReport | None = None, *, rootless: bool = False) -> None:
        """`rootless`: no main thread will run exit handlers, because this process was forked in another thread."""
        self.settings = settings
        self.report = report or LossReport(settings.queue_size, queue_bytes=settings.queue_bytes)
        self.rootless = rootless
        self.sender = Sender(settings, self.report)
        self.spans: deque[Span] = deque()
        self.sink = make_sink(self.spans, settings, self.report, self._start_or_wake)
        # Each: the deadline, the lock to release, the list for the answer.
        self.flush_requests: deque[tuple[float, Any, list[bool]]] = deque()
        self.thread: BackgroundThread | None = None
        self._due = 0.0  # when the thread sends next, also if a fork ends it before; 0 to begin an interval
        self._start_token: deque[None] = deque((None,))  # whoever pops it starts the thread

    def _start_or_wake(self) -> None:
        thread = self.thread
        if thread is None and self.sender.exit_deadline is None:  # none is to run while the interpreter is taken down
            self.start()
        elif thread is not None and len(self.spans) > 1 and self.report.state is WORKING:  # half full
            thread.wake()

    def start(self) -> None:
        """If the process can have no more threads, nothing happens: shutdown() then sends the spans itself."""
        thread = None
        try:
            try:
                self._start_token.pop()
            except IndexError:  # another thread is starting it, or it is just ending
                return
            thread = self.thread = BackgroundThread()
            thread.start(self._run)
        except BaseException as failure:
            # After an exception of the program's it may have started. It ends when it sees that it is not self.thread.
            if self.thread is thread:
                self.thread = None
                if not self._start_token:
                    self._start_token.append(None)
            if not isinstance(failure, Exception):
                raise
            reraise_interruption()

    def _run(self, thread: BackgroundThread) -> None:
        try:
            current.put(Context({current.SUPPRESS_KEY: True}))
            while not thread.stopping:
                self._due = self._due or monotonic() + self._interval()
                left = self._due - monotonic()
                if left > 0 and not self.flush_requests:  # one may have been meant for the thread before
                    thread.sleep(left)
                if self.thread is not thread:
                    break
                self._answer_flush_requests()
                if not thread.stopping:
                    self._due = 0.0
                    if monotonic() >= self.sender.retry_at:
                        self.sender.drain(self.spans)
                if self.rootless and thread.native and len(sys._current_frames()) == 1:
                    thread.stopping = True
                    process_end.last_thread_ends(self)
        except BaseException:
            if self.report.state is not ORPHANED:
                contained("the export thread")
        finally:
            if self.thread is thread:
                self.thread = None
                self._start_token.append(None)
                if not thread.stopping:
                    self.resume()

    def _interval(self) -> float:
        seconds = max(SHORTEST_INTERVAL, self.settings.flush_seconds)
        process = forks.imported("multiprocessing.process")
        daemon = process and process.parent_process() is not None and process.current_process().daemon
        return min(seconds, SHORT_LIVED_INTERVAL) if daemon or self.rootless else seconds

    def pause(self) -> None:
        """End the thread before a fork: in 0.1 ms if it is idle. One that waits for a network is not waited for.
        One that imports is, for a second, because the child would find the import locks held for ever."""
        thread = self.thread
        if thread is None or not thread.native:
            return
        for attempt in range(500):
            if thread.stop(0.002) or self.sender.sending or (attempt >= 25 and not self.sender.importing):
                return

    def resume(self) -> None:
        """Start the thread again, if there is something to do."""
        thread = self.thread
        if thread is not None:
            thread.stopping = False
        # Looked at again, because the thread may have ended just before `stopping` was taken back.
        if self.thread is None and (self.flush_requests or self.waits()):
            self.start()

    def flush(self, seconds: float) -> bool:
        """Send the spans that have ended. False: not all were sent, or not within `seconds`."""
        until = monotonic() + seconds
        # The attempt ends a little before the time is over, so that there is time to report its outcome.
        deadline = until - 0.05 * seconds
        self.resume()
        thread = self.thread
        if thread is None:
            return self._flush_here(deadline)
        answered, answer = _thread.allocate_lock(), list[bool]()
        answered.acquire()
        self.flush_requests.append((deadline, answered, answer))
        thread.wake()
        return answered.acquire(True, max(0.0, seconds)) and answer == [True]

    def _answer_flush_requests(self) -> None:
        while self.flush_requests:
            deadline, answered, answer = self.flush_requests.popleft()
            try:
                answer.append(self.drain(deadline))
            finally:
                answered.release()

    def _flush_here(self, deadline: float) -> bool:
        """Without a thread, because there is nothing to send or because none can be started any more."""
        if not self.waits() and self.sender.exit_deadline is None:
            return True
        outer = current.get()
        try:
            try:
                current.put(Context({**outer, current.SUPPRESS_KEY: True}))
                return self.drain(deadline)
            finally:
                current.put(outer)
        finally:  # an exception of the program's may strike in the first one
            current.put(outer)

    def drain(self, deadline: float) -> bool:
        sent = self.sender.drain(self.spans, deadline)
        if self.sender.exit_deadline is not None:
            self.sender.close()
        return sent

    def shutdown(self) -> None:
        """The last flush. multiprocessing may call it before atexit does: all calls share one deadline."""
        now, last = monotonic(), self.sender.taken + len(self.spans)
        if self.sender.exit_deadline is None:
            self.sender.exit_deadline = now + self.settings.exit_seconds
        if self.flush(max(0.0, self.sender.exit_deadline - now)):
            self.report.leave(0)
            self.pause()  # no thread of the agent runs while the interpreter is taken down
        else:
            # Without those that a thread of the program has ended since.
            waiting = max(0, last - self.sender.taken) + len(self.sender.batch)
            self.report.leave(waiting, f"not done within {self.settings.exit_seconds:g} s")

    def waits(self) -> bool:
        """Spans are not sent yet."""
        return bool(self.spans or self.sender.batch)

    def of_child(self, *, rootless: bool) -> SpanQueue:
        """The queue of a forked child. This one is its copy of the parent's, whose spans the parent sends."""
        report = self.report.of_child()
        if self.thread is not None:
            self.thread.orphan()
        return SpanQueue(self.settings, report, rootless=rootless or self.rootless)
