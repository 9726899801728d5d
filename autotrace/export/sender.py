"""One batch after another from the queue to the exporter, with retries. Knows neither threads nor formats."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from autotrace import own_imports
from autotrace.containment import contained
from autotrace.export.loss_report import ORPHANED, LossReport, Unusable, first_line
from autotrace.settings import EXPORTERS
from autotrace.tracing import tracer

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from typing import TypeVar

    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

    Made = TypeVar("Made")

BATCH_SIZE = 512
SEND_SECONDS = 5.0
"""How long sending one batch may take while the program runs."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts at most, while the collector does not answer."""


class Sender:
    """Used by one thread at a time."""

    def __init__(self, settings: Settings, report: LossReport) -> None:
        self.settings = settings
        self.report = report
        self.batch: list[Span] = []
        """Spans that are out of the queue and not yet sent. They go first when sending goes on."""
        self.retry_at = 0.0
        """The time.monotonic() of the next attempt, if the collector did not answer the last one."""
        self.exit_deadline: float | None = None
        """Set once the process exits: the time.monotonic() at which it stops waiting."""
        self.importing = False
        """The thread that sends may hold import locks. A child forked now could never import those modules."""
        self._pause = 0.0
        self._exporter: Any = None
        self._resource: Any = None

    def drain(self, queue: deque[Span], deadline: float | None = None) -> bool:
        """Send everything. False: a batch was refused (and is lost) or not taken (and waits). Raises no Exception."""
        complete = True
        while self.batch or self._take(queue):
            try:
                self._send(time.monotonic() + SEND_SECONDS if deadline is None else deadline)
            except KeyboardInterrupt:
                raise
            except OSError as failure:
                # Nobody took the batch, so it is sent again. If only the answer got lost, the batch arrives twice.
                self._pause = min(2 * self._pause or self.settings.flush_seconds or 0.1, LONGEST_PAUSE)
                self.retry_at = time.monotonic() + self._pause
                self.report.failed(failure, len(queue) + len(self.batch), exiting=self.exit_deadline is not None)
                return False
            except BaseException as failure:
                if self.report.state is ORPHANED:
                    raise
                # The batch was refused or cannot be encoded. It would fail again, and all spans behind it would wait.
                complete = False
                lost, self.batch = len(self.batch), []
                self.report.lost += lost
                self.report.failed(failure, 0, exiting=self.exit_deadline is not None)
            else:
                self.batch = []
                self._pause = self.retry_at = 0.0
                self.report.succeeded()
        return complete

    def close(self) -> None:
        """Close the exporter; it is made again if spans follow. Raises no Exception."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            try:
                exporter.close()
            except Exception:
                contained("the exporter's close")

    def _take(self, queue: deque[Span]) -> list[Span]:
        """The next batch, which the program's own span processors see first."""
        batch: list[Span] = []
        try:
            while len(batch) < BATCH_SIZE:
                batch.append(queue.popleft())
        except IndexError:
            pass
        self.batch = batch
        if batch and tracer.provider.processors:
            self._process(batch)
        return batch

    def _process(self, batch: list[Span]) -> None:
        try:
            from autotrace.export import span_processors

            resource, to_readable = self._while_importing(lambda: (self._own_resource(), span_processors.load()))
        except Exception:
            contained("span processors")
        else:
            span_processors.on_end(batch, resource, to_readable)

    def _send(self, deadline: float) -> None:
        if not EXPORTERS[self.settings.exporter]:
            return
        if self._exporter is None:
            self._exporter = self._while_importing(self._make_exporter)
        before = getattr(self._exporter, "dropped", 0)
        try:
            self._exporter.export(self.batch, self._resource, deadline)
        finally:
            dropped = getattr(self._exporter, "dropped", 0) - before
            self.report.lost += dropped

    def _make_exporter(self) -> Any:
        """Two attempts, because gevent breaks an import that is under way on this thread while gevent patches."""
        name = self.settings.exporter
        reason = ""
        for _ in range(2):
            try:
                self._own_resource()
                return __import__(EXPORTERS[name], fromlist=["make"]).make(self.settings)
            except Exception as failure:
                reason = first_line(failure)
        return _Refusing(f"the exporter {name!r} cannot be used: {reason}")

    def _own_resource(self) -> Any:
        if self._resource is None:
            self._resource = __import__("autotrace.export.resource", fromlist=["Resource"]).Resource(self.settings)
        return self._resource

    def _while_importing(self, work: Callable[[], Made]) -> Made:
        self.importing = True
        try:
            return work()
        finally:
            self.importing = False
            own_imports.settle()


class _Refusing:
    """Stands in for an exporter that cannot be made: it refuses every batch."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def export(self, *_: object) -> None:
        raise Unusable(self._reason)

    def close(self) -> None:
        pass
