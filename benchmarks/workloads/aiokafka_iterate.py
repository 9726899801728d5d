"""aiokafka: one step of `async for record in consumer`, all in one task; the records are those of kafka_iterate."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from benchmarks.timed import Work, nothing
from benchmarks.workloads.kafka_iterate import TOPIC, fill

__all__ = ["fill"]
COUNT = 5000
NEEDS = ("kafka",)
CALLS = False


def prepare(count: int) -> Work:
    loop = asyncio.new_event_loop()
    consumer = loop.run_until_complete(_reader())
    return Work(
        nothing,
        end=lambda: loop.run_until_complete(consumer.stop()),
        many=lambda times: loop.run_until_complete(_iterate(consumer, times)),
    )


async def _reader() -> Any:
    import aiokafka

    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], auto_offset_reset="earliest"
    )
    await consumer.start()
    consumer.assign([aiokafka.TopicPartition(TOPIC, 0)])
    await consumer.getone()
    return consumer


async def _iterate(consumer: Any, times: int) -> None:
    async for _ in consumer:
        times -= 1
        if not times:
            return
