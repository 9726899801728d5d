"""The lines on stderr about spans that are not sent: one for each outage, one for its end, and the number of losses."""

from __future__ import annotations

from autotrace import containment

WORKING, OUTAGE, INHERITED, ORPHANED = "working", "outage", "inherited outage", "orphaned"


class Unusable(Exception):
    """The exporter cannot be made. The text names the exporter and the reason."""


class LossReport:
    """`state` is one of four:

    WORKING: spans are sent, as far as is known.
    OUTAGE: they cannot be sent, and stderr says so.
    INHERITED: an outage that the parent reported before it forked. This process reports only its losses.
    ORPHANED: this object was copied into a forked child, where nobody sends; it prints nothing.
    """

    def __init__(self, queue_size: int, state: str = WORKING) -> None:
        self.state = state
        self.lost = 0
        """Spans that will not arrive. SpanQueue's sink counts those that find the queue full.

        Several threads add to it. No other thread runs amid `+=` as long as the right side calls nothing.
        """
        self._queue_size = queue_size
        self._reported = 0
        self._full_reported = False

    def failed(self, failure: BaseException, waiting: int, *, exiting: bool) -> None:
        """A batch was not sent. `waiting`: how many spans are kept, 0 if the batch is lost."""
        if self.state is not WORKING:
            return
        self.state = OUTAGE
        reason = first_line(failure)
        if isinstance(failure, Unusable):
            containment.say(f"{reason}; spans are dropped")
        elif exiting:
            self.give_up(waiting, reason)
        else:
            fate = f"{waiting} wait, kept until the queue is full" if waiting else "this batch is lost"
            containment.say(f"spans cannot be sent: {reason}; {fate}")

    def succeeded(self) -> None:
        """A batch was sent. The first loss to a full queue is reported now, later ones by sum_up()."""
        lost = self.lost - self._reported
        if self.state is WORKING:
            if not lost or self._full_reported:
                return
            self._full_reported = True
            containment.say(f"{lost} spans were lost because {self._full}")
        elif self.state is not ORPHANED:
            if lost or self.state is OUTAGE:
                containment.say(f"spans are sent again; {lost} were lost")
            self.state = WORKING
        self._reported = self.lost

    def sum_up(self) -> None:
        """At the exit: report the losses that were not reported yet."""
        if self.lost > self._reported:
            containment.say(f"{self.lost} spans were lost in all because {self._full}")
            self._reported = self.lost

    def give_up(self, waiting: int, reason: str) -> None:
        """The last line of a process that exits before its spans can be sent."""
        containment.say(f"spans cannot be sent: {reason}; {waiting + self.lost} are lost")

    def of_child(self) -> LossReport:
        """The report of a forked child; this one is its copy of the parent's."""
        parent, self.state = self.state, ORPHANED
        return LossReport(self._queue_size, WORKING if parent is WORKING else INHERITED)

    @property
    def _full(self) -> str:
        return f"the queue was full (AUTOTRACE_QUEUE_SIZE={self._queue_size})"


def first_line(failure: BaseException) -> str:
    return str(failure).partition("\n")[0] or type(failure).__name__
