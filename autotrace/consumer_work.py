"""What a consumer has given to the program: one record, or lists of them; and what happens when the program turns away. Knows no library."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.record_batch import Records, recorded
from autotrace.record_scope import PLACE, Scope
from autotrace.tracing.in_work import settle

if TYPE_CHECKING:
    from autotrace.record_batch import Batch
    from autotrace.record_scope import Reading
    from autotrace.semantics.family import SharedFacts


class Work:
    """Kept by the consumer: when it is collected, the scope closes. No method raises, but for listed()."""

    __slots__ = ("_lists", "scope")

    def __init__(self, reading: Reading, shared: SharedFacts) -> None:
        self.scope = Scope(reading, shared)
        self._lists: list[weakref.ref[Batch]] = []

    def listed(self, records: list[Any], reading: Reading, facts: dict[str, Any]) -> Records:
        """The list, as one that opens each record's scope. `facts`: of the span that those share which nobody iterates."""
        made = recorded(records, reading, self.scope.shared, facts)
        self._lists.append(weakref.ref(made._batch))
        return made

    def turn(self) -> None:
        """The program asks for more: it is done with what it got, unless another thread still works on a list."""
        self._close()
        if self._lists:
            self._turn_lists(finish=False)

    def committed(self) -> None:
        """The program is done with the record, unless a loop will tell."""
        if not self.scope.looping:
            self._close()

    def finish(self) -> None:
        """The consumer is closed: nothing more will tell of the lists."""
        self.scope.close_handling()
        self._close()
        if self._lists:
            self._turn_lists(finish=True)

    def _close(self) -> None:
        if self.scope.work is not None:
            self.scope.close()
            return
        try:  # another thread may have closed the record of this one, and cannot reach what is current here
            settle()
        except Exception:
            contained(PLACE)

    def _turn_lists(self, *, finish: bool) -> None:
        try:
            lists, self._lists = self._lists, []
            for reference in lists:
                batch = reference()
                if batch is not None:
                    batch.turned = time.time_ns()
                    if finish:
                        batch.finish()
        except Exception:
            contained(PLACE)
