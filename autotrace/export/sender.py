"""One batch after another from the queue to the exporter: retries, losses, one line per outage. Knows neither threads nor formats."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from autotrace import containment
from autotrace.tracing import tracer

if TYPE_CHECKING:
    from collections import deque

    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

EXPORTERS = {
    "jaeger": "autotrace.export.jaeger.exporter",
    "jaeger_thrift": "autotrace.export.otel.readable_span",
    "console": "autotrace.export.console",
}
"""AUTOTRACE_EXPORTER -> the module whose make(settings) returns the exporter: export(spans, resource, deadline), close()."""

BATCH = 512
SEND_SECONDS = 5.0
"""How long one batch may take while the program runs."""
LONGEST_PAUSE = 30.0


class Delivery:
    """Used by one thread at a time. The batch `in_hand` is neither in the queue nor delivered: it goes first when sending goes on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.in_hand: list[Span] = []
        self.lost = 0
        """Spans that will not arrive, those included that found the queue full."""
        self.not_before = 0.0
        """time.monotonic() before which an attempt is too early: the collector did not answer the last one."""
        self.outage = False
        self.hushed = False
        """The outage was inherited from the process that forked this one, which has spoken of it."""
        self.leaving = False
        self.abandoned = False
        """In a forked child, a copy that a greenlet of the parent's was using: it sends nothing, and says nothing."""
        self.importing = False
        self._told = 0
        self._spoke_of_room = False
        self._pause = 0.0
        self._exporter: Any = None
        self._unusable = False
        self._resource: Any = None
        self._to_readable: Any = None

    def drain(self, queue: deque[Span], deadline: float | None = None) -> bool:
        """Send all there is. False: some of it was refused (and is lost) or could not be sent (and waits). Never raises an Exception."""
        well = True
        while True:
            if not self.in_hand:
                self._take(queue)
            if not self.in_hand:
                return well
            try:
                self._send(time.monotonic() + SEND_SECONDS if deadline is None else deadline)
            except KeyboardInterrupt:
                raise
            except OSError as failure:
                # Nobody took it. It is sent again, so a batch whose answer got lost may arrive twice.
                self._pause = min(2 * self._pause or self.settings.flush_seconds or 0.1, LONGEST_PAUSE)
                self.not_before = time.monotonic() + self._pause
                self._failed(failure, len(queue) + len(self.in_hand))
                return False
            except BaseException as failure:
                if self.abandoned:
                    raise
                # Refused, or not to be encoded: it would fail again, and everything behind it wait for ever.
                well = False
                lost, self.in_hand = len(self.in_hand), []
                self.lost += lost
                self._failed(failure, 0)
            else:
                self.in_hand = []
                self._pause = self.not_before = 0.0
                self._succeeded()

    def close(self) -> None:
        """The exporter's last word. Never raises an Exception."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            try:
                exporter.close()
            except Exception:
                containment.contained("the exporter's close")

    def _take(self, queue: deque[Span]) -> None:
        batch: list[Span] = []
        try:
            while len(batch) < BATCH:
                batch.append(queue.popleft())
        except IndexError:
            pass
        self.in_hand = batch
        processors = tracer.provider.processors
        if batch and processors:
            self._process(batch, list(processors))

    def _process(self, batch: list[Span], processors: list[Any]) -> None:
        """The program's own SpanProcessors, each span once."""
        try:
            if self._to_readable is None:
                self._to_readable = _module("autotrace.export.otel.readable_span").to_readable
            self._describe()
        except Exception:
            containment.contained("span processors")
            return
        for span in batch:
            for processor in processors:
                try:
                    processor.on_end(self._to_readable(span, self._resource))
                except Exception:
                    containment.contained(f"the span processor {type(processor).__name__}")

    def _describe(self) -> None:
        if self._resource is None:
            self._resource = _module("autotrace.export.resource").Resource(self.settings)

    def _send(self, deadline: float) -> None:
        name = self.settings.exporter
        if name == "none":
            return
        if self._unusable:
            raise Unusable
        if self._exporter is None:
            self._make(EXPORTERS[name])
        before = getattr(self._exporter, "dropped", 0)
        try:
            self._exporter.export(self.in_hand, self._resource, deadline)
        finally:
            self.lost += getattr(self._exporter, "dropped", 0) - before

    def _make(self, module: str) -> None:
        """Twice, if need be: gevent's monkey-patching, when it meets this thread amid an import, breaks that one import."""
        self.importing = True
        try:
            for last in (False, True):
                try:
                    self._describe()
                    self._exporter = _module(module).make(self.settings)
                    return
                except Exception:
                    self._unusable = last
                    if last:
                        raise
        finally:
            self.importing = False

    def _failed(self, failure: BaseException, waiting: int) -> None:
        if self.outage:
            return
        self.outage = True
        reason = str(failure).partition("\n")[0] or type(failure).__name__
        if self._unusable:
            containment.say(f"the exporter {self.settings.exporter!r} cannot be used: {reason}; spans are dropped")
        elif self.leaving:
            self.give_up(waiting, reason)
        else:
            fate = f"{waiting} wait, kept until the queue is full" if waiting else "these are lost"
            containment.say(f"spans cannot be sent: {reason}; {fate}")

    def _succeeded(self) -> None:
        lost = self.lost - self._told
        if self.outage:
            if lost or not self.hushed:
                containment.say(f"spans are sent again; {lost} were lost")
            self.outage = self.hushed = False
        elif lost and not self._spoke_of_room:
            self._spoke_of_room = True
            size = self.settings.queue_size
            containment.say(f"{lost} spans were lost: {size} were waiting, as many as AUTOTRACE_QUEUE_SIZE allows")
        elif lost:
            return  # told in one sum at the end
        self._told = self.lost

    def sum_up(self) -> None:
        """At the end: what was lost and not told yet."""
        if self.lost > self._told:
            containment.say(f"{self.lost} spans were lost in all, for want of room (AUTOTRACE_QUEUE_SIZE)")
            self._told = self.lost

    def give_up(self, waiting: int, reason: str) -> None:
        """The last line of a process whose spans cannot be sent before it ends."""
        containment.say(f"spans cannot be sent: {reason}; {waiting + self.lost} are lost")


class Unusable(Exception):
    """There is no exporter; said once."""


def _module(name: str) -> Any:
    return __import__(name, fromlist=["make"])
