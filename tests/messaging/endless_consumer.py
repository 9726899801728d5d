"""A program that takes COUNT records from a consumer that has no end, and prints its growth as JSON.

    python -m tests.messaging.endless_consumer for|next|lists|dropping|tasks COUNT

The client is a fake; the records, their headers and the consumer span are real. The first tenth of the records fills
caches and the memory of carry(), which are bounded. Only growth after that counts: `kib` of resident memory, `objects`
tracked by the collector.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from autotrace.messaging import carry
from autotrace.messaging.async_consumer import AsyncConsumerIterator, AsyncConsumerState
from autotrace.messaging.consumer import ConsumerIterator, ConsumerState
from autotrace.messaging.record_adapter import RecordAdapter
from autotrace.semantics.family import SharedFacts
from autotrace.tracing import propagate
from autotrace.tracing.span import Span

PAGE = os.sysconf("SC_PAGE_SIZE")


class Record(NamedTuple):
    topic: str
    offset: int
    headers: list[tuple[str, bytes]]


ADAPTER = RecordAdapter(
    lambda record: {"topic": record.topic, "offset": record.offset},
    lambda record: (record.topic, record.offset),
    lambda record: record.headers,
    propagate.extract_kafka,
)
carry.adapters[Record] = ADAPTER


def record(number: int) -> Record:
    return Record("t", number, [("b3", b"%032x-%016x-1" % (number + 1, number + 1))])


class Consumer:
    """As a patched client is."""

    def __init__(self, count: int) -> None:
        self.records = map(record, range(count))
        self.state = ConsumerState(ADAPTER, SharedFacts({}))

    def __iter__(self) -> Any:
        return ConsumerIterator(self, self.state)

    def __next__(self) -> Record:
        self.state.on_fetch()
        return self.state.on_record(self, next(self.records))  # type: ignore[no-any-return]

    def poll(self) -> list[Record]:
        self.state.on_fetch()
        found = list(islice(self.records, 100))
        return self.state.wrap_list(found, ADAPTER, {})


class TaskConsumer:
    def __init__(self, count: int) -> None:
        self.records = map(record, range(count))
        self.state = AsyncConsumerState(ADAPTER, SharedFacts({}))

    def __aiter__(self) -> Any:
        return AsyncConsumerIterator(self, self.state)

    async def __anext__(self) -> Record:
        self.state.on_fetch()
        found = next(self.records, None)
        if found is None:
            raise StopAsyncIteration
        self.state.on_record(self, found)
        return found


def by_for(count: int, each: Callable[[], None]) -> None:
    for _ in Consumer(count):
        each()


def by_next(count: int, each: Callable[[], None]) -> None:
    consumer = Consumer(count)
    while next(consumer, None):
        each()


def by_lists(count: int, each: Callable[[], None]) -> None:
    consumer = Consumer(count)
    while records := consumer.poll():
        for _ in records:
            each()


def by_dropping(count: int, each: Callable[[], None]) -> None:
    """A consumer for every record, none of them closed."""
    for _ in range(count):
        next(Consumer(1))
        each()


def by_tasks(count: int, each: Callable[[], None]) -> None:
    """One loop, and a task for each record's work."""

    async def handle() -> None:
        await asyncio.sleep(0)
        each()

    async def main() -> None:
        async for _ in TaskConsumer(count):
            await asyncio.create_task(handle())

    asyncio.run(main())


def sizes() -> tuple[int, int]:
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE // 1024, len(gc.get_objects())


def main() -> None:
    way, count = sys.argv[1], int(sys.argv[2])
    spans = 0

    def sink(span: Any) -> None:
        nonlocal spans
        spans += 1

    Span.sink = staticmethod(sink)
    seen = 0
    before = (0, 0)

    def each() -> None:
        nonlocal seen, before
        seen += 1
        if seen == count // 10:
            before = sizes()

    globals()[f"by_{way}"](count, each)
    after = sizes()
    print(json.dumps({"kib": after[0] - before[0], "objects": after[1] - before[1], "spans": spans}))


if __name__ == "__main__":
    main()
