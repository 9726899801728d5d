"""A consumer without any library, as a patched client is, and its records."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry import trace

from autotrace.messaging.consumer import ConsumerIterator, ConsumerState
from autotrace.messaging.record_adapter import RecordAdapter
from autotrace.propagation.context import Remote
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import Span


class Record(NamedTuple):
    """A producer's span id stands for the headers; 0 for none."""

    number: int
    producer: int = 0


ADAPTER = RecordAdapter(
    lambda record: {"topic": "t", "offset": record.number},
    lambda record: ("t", record.number),
    lambda record: record.producer,
    lambda producer: Remote(7, producer, decision=True) if producer else None,
)
SHARED = SharedFacts({"operation": "process"})


class Consumer:
    """As a patched client is: next() opens the consumer span."""

    def __init__(self, records: list[Record]) -> None:
        self.records = iter(records)
        self.state = ConsumerState(ADAPTER, SHARED)
        self.consumer_span = self.state.consumer_span

    def __iter__(self) -> Any:
        return ConsumerIterator(self, self.state)

    def __next__(self) -> Record:
        self.consumer_span.close()
        record = next(self.records)
        self.consumer_span.open_in_thread(record)
        return record


def records(count: int) -> list[Record]:
    return [Record(number, 100 + number) for number in range(count)]


def current() -> int:
    """The producer's span id of the active record; 0 for none."""
    span = trace.get_current_span()
    return span.parent_id if isinstance(span, Span) else 0
