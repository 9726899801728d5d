"""The lines on stderr about spans that are not sent: one for each outage, one for its end, and what is lost at the
exit.

Each loss is told once, with its reason.
"""

from __future__ import annotations

from autotrace import containment

WORKING, OUTAGE, INHERITED, ORPHANED = "working", "outage", "inherited outage", "orphaned"
UNSENDABLE = "they could not be encoded, or not in one message"


class Unusable(Exception):
    """The exporter cannot be made. The text names the exporter and the reason."""


class LossReport:
    """`state` is one of four:

    WORKING: spans are sent, as far as is known.
    OUTAGE: they cannot be sent, and stderr says so, or will say so at the exit.
    INHERITED: an outage that the parent reported before it forked. This process reports only its losses.
    ORPHANED: this object was copied into a forked child, where nobody sends; it prints nothing.
    """

    def __init__(self, queue_size: int, state: str = WORKING, queue_bytes: int = 0) -> None:
        self.state = state
        self.lost = 0
        """Spans that will not arrive. SpanQueue's sink counts those that find the queue full.

        Several threads add to it. No other thread runs amid `+=` as long as the right side calls nothing.
        """
        self.too_heavy = 0
        """Those of them that found it full of bytes; counted as `lost` is."""
        self._others: dict[str, int] = {}
        self._limits = queue_size, queue_bytes
        self._reported = 0
        self._loss_reported = False
        self._failure = ""

    def lose(self, count: int, reason: str) -> None:
        """Spans are lost for another reason than a full queue."""
        if count:
            self._others[reason] = self._others.get(reason, 0) + count
            self.lost += count

    def failed(self, failure: BaseException, waiting: int, *, exiting: bool) -> None:
        """A batch was not sent. `waiting`: how many spans are kept, 0 if the batch is lost. leave() reports an exit."""
        if self.state is ORPHANED:
            return
        self._failure = first_line(failure)
        if self.state is not WORKING:
            return
        self.state = OUTAGE
        if exiting:
            return
        if isinstance(failure, Unusable):
            containment.say(f"{self._failure}; spans are dropped")
        else:
            fate = f"{waiting} wait, kept until the queue is full" if waiting else "this batch is lost"
            containment.say(f"spans cannot be sent: {self._failure}; {fate}")

    def succeeded(self, *, exiting: bool = False) -> None:
        """A batch was sent. The first loss without an outage is reported now, later ones by leave()."""
        before = self.state
        if before is ORPHANED:
            return
        self.state = WORKING
        lost = self.lost - self._reported
        if exiting or (before is WORKING and (not lost or self._loss_reported)):
            return
        if before is WORKING:
            self._loss_reported = True
            containment.say(f"{lost} spans were lost because {self._reasons()}")
        elif lost or before is OUTAGE:
            containment.say(f"spans are sent again; {lost} were lost")
        self._reported = self.lost

    def leave(self, waiting: int, reason: str = "") -> None:
        """At the exit: report the losses that were not reported yet, and the spans that wait in vain."""
        lost = self.lost + waiting - self._reported
        if lost <= 0 or self.state is ORPHANED:
            return
        if self.state is WORKING and not waiting:
            containment.say(f"{self.lost} spans were lost in all because {self._reasons()}")
        else:
            reason = reason if self.state is WORKING else self._failure
            containment.say(f"spans cannot be sent: {reason}; {lost} are lost")
        self._reported = self.lost + waiting

    def of_child(self) -> LossReport:
        """The report of a forked child; this one is its copy of the parent's."""
        parent, self.state = self.state, ORPHANED
        return LossReport(self._limits[0], WORKING if parent is WORKING else INHERITED, self._limits[1])

    def _reasons(self) -> str:
        size, most_bytes = self._limits
        counts = {
            f"the queue was full (AUTOTRACE_QUEUE_SIZE={size})": self.lost
            - self.too_heavy
            - sum(self._others.values()),
            f"the queue was full (AUTOTRACE_QUEUE_BYTES={most_bytes})": self.too_heavy,
            **self._others,
        }
        found = [(reason, count) for reason, count in counts.items() if count]
        if len(found) == 1:
            return found[0][0]
        return ", and ".join(f"{reason} ({count})" for reason, count in found)


def first_line(failure: BaseException | None) -> str:
    return str(failure).partition("\n")[0] or type(failure).__name__
