"""One batch after another from the queue to the exporter, with retries. Knows neither threads nor formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import own_imports
from autotrace.containment import contained
from autotrace.export.loss_report import ORPHANED, UNSENDABLE, LossReport, Unusable, first_line
from autotrace.settings import EXPORTERS
from autotrace.tracing import tracer
from autotrace.tracing.clock import monotonic

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
        self.taken = 0
        """How many have ever been taken out of the queue."""
        self.retry_at = 0.0
        """The monotonic() time of the next attempt, if the collector did not answer the last one."""
        self.exit_deadline: float | None = None
        """Set once the process exits: the monotonic() at which it stops waiting."""
        self.importing = False
        """The thread that sends may hold import locks. A child forked now could never import those modules."""
        self.sending = False
        """It is in an exporter or a span processor, which may wait for a network."""
        self._pause = 0.0
        self._exporter: Any = None
        self._resource: Any = None

    @property
    def exiting(self) -> bool:
        return self.exit_deadline is not None

    def drain(self, queue: deque[Span], deadline: float | None = None) -> bool:
        """Send what waits now; spans that end meanwhile wait for the next time. Raises no Exception.

        False: a batch was refused (and is lost) or not taken (and waits).
        """
        complete, left = True, len(queue)
        while self.batch or left > 0:
            if not self.batch:
                left -= self._take(queue, min(left, BATCH_SIZE))
            try:
                self._send(monotonic() + SEND_SECONDS if deadline is None else deadline)
            except KeyboardInterrupt:
                raise
            except OSError as failure:
                # Nobody took the batch, so it is sent again. If only the answer got lost, the batch arrives twice.
                self._postpone(failure, len(queue) + len(self.batch))
                return False
            except BaseException as failure:
                if self.report.state is ORPHANED:
                    raise
                complete = False
                self._give_up_batch(failure)
                if isinstance(failure, Unusable):
                    return False
            else:
                self.batch = []
                self._pause = self.retry_at = 0.0
                self.report.succeeded(exiting=self.exiting)
        return complete

    def _give_up_batch(self, failure: BaseException) -> None:
        """It was refused or cannot be encoded. It would fail again, and all spans behind it would wait."""
        lost, self.batch = len(self.batch), []
        reason = first_line(failure)
        if isinstance(failure, Unusable):
            self.report.lose(lost, reason)
            self._postpone(failure, 0)
        else:
            self.report.lose(lost, f"they were refused: {reason}")
            self.report.failed(failure, 0, exiting=self.exiting)

    def _postpone(self, failure: BaseException, waiting: int) -> None:
        self.report.failed(failure, waiting, exiting=self.exiting)
        self._pause = min(2 * self._pause or self.settings.flush_seconds or 0.1, LONGEST_PAUSE)
        self.retry_at = monotonic() + self._pause

    def close(self) -> None:
        """Close the exporter; it is made again if spans follow. Raises no Exception."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            try:
                exporter.close()
            except Exception:
                contained("the exporter's close")

    def _take(self, queue: deque[Span], count: int) -> int:
        """The next batch, which the program's own span processors see first. Returns how many spans it looked for."""
        batch: list[Span] = []
        self.batch = batch
        try:
            while len(batch) < count:
                batch.append(queue.popleft())
        except IndexError:
            pass
        self.taken += len(batch)
        if batch and tracer.provider.processors:
            self._process(batch)
        return count

    def _process(self, batch: list[Span]) -> None:
        try:
            from autotrace.export import span_processors

            resource, to_readable = self._while_importing(lambda: (self._own_resource(), span_processors.load()))
        except Exception:
            contained("span processors")
        else:
            self.sending = True
            span_processors.on_end(batch, resource, to_readable)
            self.sending = False

    def _send(self, deadline: float) -> None:
        if not self.batch or not EXPORTERS[self.settings.exporter]:
            return
        if self._exporter is None:
            self._exporter = self._while_importing(self._make_exporter)
        exporter = self._exporter
        dropped, refused = getattr(exporter, "dropped", 0), getattr(exporter, "refused", 0)
        self.sending = True
        try:
            exporter.export(self.batch, self._resource, deadline)
        except BaseException as failure:
            self.report.lose(getattr(exporter, "refused", 0) - refused, f"they were refused: {first_line(failure)}")
            raise
        finally:
            self.sending = False
            self.report.lose(getattr(exporter, "dropped", 0) - dropped, UNSENDABLE)

    def _make_exporter(self) -> Any:
        """Two attempts, because gevent breaks an import that is under way on this thread while gevent patches.

        The next batch tries again: what stands in the way now (a guard, a limit of descriptors) may go.
        """
        name = self.settings.exporter
        failure: Exception | None = None
        for _ in range(2):
            try:
                self._own_resource()
                return __import__(EXPORTERS[name], fromlist=["make"]).make(self.settings)
            except Exception as error:
                failure = error
        lasting = isinstance(failure, ImportError)
        raise (Unusable if lasting else OSError)(f"the exporter {name!r} cannot be used: {first_line(failure)}")

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
