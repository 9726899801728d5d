"""The queue of finished spans of one process, and the thread that empties it. Forks are pipeline's matter.

The program's thread only appends to a deque. Everything else happens on the export thread, the flush at exit included.
The exiting thread waits until its deadline at most, whatever hangs: a name server, a socket, an exporter.
"""

from __future__ import annotations

import _thread
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.export.background_thread import BackgroundThread
from autotrace.export.loss_report import ORPHANED, WORKING, LossReport
from autotrace.export.sender import Sender
from autotrace.settings import EXPORTERS
from autotrace.tracing import current, tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

SHORTEST_INTERVAL = 0.01
"""Seconds between two flushes, at least."""
DAEMON_INTERVAL = 0.1
"""Seconds between two flushes, at most, in daemonic children of multiprocessing, because `with Pool()` kills those."""


class SpanQueue:
    """The thread starts with the first span. It dies with the process and delays nothing."""

    def __init__(self, settings: Settings, report: LossReport | None = None) -> None:
        self.settings = settings
        self.report = report or LossReport(settings.queue_size)
        self.sender = Sender(settings, self.report)
        self.spans: deque[Span] = deque()
        self.sink: Callable[[Span], None] = self._make_sink()
        self.flush_requests: deque[tuple[float, Any, list[bool]]] = deque()
        """Each: the deadline, the lock to release, the list for the answer."""
        self.thread: BackgroundThread | None = None
        self._start_token: deque[None] = deque((None,))  # whoever pops it starts the thread

    def _make_sink(self) -> Callable[[Span], None]:
        spans, append, count, report = self.spans, self.spans.append, len, self.report
        size = self.settings.queue_size
        half = max(1, size // 2)

        def sink(span: Span) -> None:
            """0.1 us. Never waits and takes no lock, because the garbage collector may call it at any moment."""
            waiting = count(spans)
            if 0 < waiting < half:
                append(span)
            elif waiting < size:
                append(span)
                self._start_or_wake()
            else:
                report.lost += 1

        if EXPORTERS[self.settings.exporter]:
            return sink
        processors = tracer.provider.processors
        return lambda span: sink(span) if processors else None

    def _start_or_wake(self) -> None:
        thread = self.thread
        if thread is None:
            self.start()
        elif len(self.spans) > 1 and self.report.state is WORKING:  # half full
            thread.wake()

    def start(self) -> None:
        """If the process can have no more threads, nothing happens: shutdown() then sends the spans itself."""
        try:
            self._start_token.pop()
        except IndexError:  # another thread is starting it, or it is just ending
            return
        try:
            self.thread = BackgroundThread()
            self.thread.start(self._run)
        except BaseException as failure:
            # After the program's own Ctrl-C it may have started. It ends when it sees that it is not self.thread.
            self.thread = None
            self._start_token.append(None)
            if not isinstance(failure, Exception):
                raise

    def _run(self, thread: BackgroundThread) -> None:
        try:
            current.put(Context({current.SUPPRESS_KEY: True}))
            seconds = max(SHORTEST_INTERVAL, _interval(self.settings.flush_seconds))
            while not thread.stopping:
                thread.sleep(seconds)
                if self.thread is not thread:
                    break
                self._answer_flush_requests()
                if not thread.stopping and time.monotonic() >= self.sender.retry_at:
                    self.sender.drain(self.spans)
        except BaseException:
            if self.report.state is not ORPHANED:
                contained("the export thread")
        finally:
            if self.thread is thread:
                self.thread = None
                self._start_token.append(None)
                if not thread.stopping:
                    self.resume()

    def pause(self) -> None:
        """End the thread before a fork. That takes 0.1 ms if the thread is idle; a busy one is not waited for long.

        One that imports is waited for, because the child would find the import locks held for ever.
        """
        thread = self.thread
        if thread is not None and thread.native and not thread.stop(0.05) and self.sender.importing:
            thread.stop(1.0)

    def resume(self) -> None:
        """Start the thread again, if there is something to do."""
        thread = self.thread
        if thread is not None:
            thread.stopping = False
        # Looked at again, because the thread may have ended just before `stopping` was taken back.
        if self.thread is None and (self.spans or self.flush_requests or self.sender.batch):
            self.start()

    def flush(self, seconds: float) -> bool:
        """Send the spans that have ended. False: not all were sent, or not within `seconds`."""
        until = time.monotonic() + seconds
        # The attempt ends a little before the time is over, so that there is time to report its outcome.
        deadline = until - 0.05 * seconds
        if self.thread is None:
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
                answer.append(self._drain(deadline))
            finally:
                answered.release()

    def _flush_here(self, deadline: float) -> bool:
        """Without a thread, because there is nothing to send or because none can be started any more."""
        if not self.spans and not self.sender.batch and self.sender.exit_deadline is None:
            return True
        token = current.put(Context({**current.get(), current.SUPPRESS_KEY: True}))
        try:
            return self._drain(deadline)
        finally:
            current.leave(token)

    def _drain(self, deadline: float) -> bool:
        sent = self.sender.drain(self.spans, deadline)
        if self.sender.exit_deadline is not None:
            self.sender.close()
        return sent

    def shutdown(self) -> None:
        """The last flush. multiprocessing may call it before atexit does: all calls share one deadline."""
        now = time.monotonic()
        if self.sender.exit_deadline is None:
            self.sender.exit_deadline = now + self.settings.exit_seconds
        if self.flush(max(0.0, self.sender.exit_deadline - now)):
            self.report.sum_up()
            self.pause()  # no thread of the agent runs while the interpreter is taken down
        elif self.report.state is WORKING:
            waiting = len(self.spans) + len(self.sender.batch)
            self.report.give_up(waiting, f"not done within {self.settings.exit_seconds:g} s")

    def of_child(self) -> SpanQueue:
        """The queue of a forked child. This one is its copy of the parent's, whose spans the parent sends."""
        report = self.report.of_child()
        if self.thread is not None:
            self.thread.orphan()
        return SpanQueue(self.settings, report)


def _interval(seconds: float) -> float:
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or not process.current_process().daemon:
        return seconds
    return min(seconds, DAEMON_INTERVAL)
