"""autotrace.carry(record): the program itself says which record its work belongs to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging import consumer_span
from autotrace.messaging.record_context import reactivate
from autotrace.tracing.current import get, put

if TYPE_CHECKING:
    from autotrace.messaging.record_adapter import RecordAdapter
    from autotrace.messaging.record_context import ActiveRecord
    from autotrace.patching import Plan

PLACE = "carry()"

adapters: dict[type, RecordAdapter] = {}
"""Type of a record -> its adapter."""


def register(plan: Plan, kind: type, adapter: RecordAdapter) -> None:
    """As a step of `plan`: carry() takes records of this type. A second patch of the same library adds no step."""
    if kind in adapters:
        return
    remember = partial(adapters.__setitem__, kind, adapter)
    plan.step(remember, partial(adapters.pop, kind, None), f"carry() for {kind.__name__}")


class carry:
    """`with autotrace.carry(record):` its body belongs to the record's span, in any thread, even after the span's end.

    Nothing happens for a record that autotrace has not seen, or that a thousand newer ones have followed.
    """

    active: ActiveRecord | None = None

    def __init__(self, record: Any) -> None:
        self.record = record

    def __enter__(self) -> Any:
        outer = get()
        try:
            try:
                adapter, record = adapters.get(type(self.record)), self.record
                found = None if adapter is None else consumer_span.recent_records.find(adapter.key(record), record)
                self.active = None if found is None else reactivate(*found)
            except Exception:
                contained(PLACE)
        except BaseException:
            put(outer)
            raise
        return self.record

    def __exit__(self, *_: object) -> None:
        try:
            if self.active is not None:
                self.active.deactivate()
            self.active = None
        except Exception:
            contained(PLACE)

    def __del__(self) -> None:
        # The `with` statement has dropped this object although an exception has struck within __exit__().
        self.__exit__()
