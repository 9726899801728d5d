"""Operations of the Kafka clients for test_every_boundary_of_kafka, on the real broker."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import confluent_kafka
import kafka

from tests.interruption.operations import Operation

RECORDS = 8000
"""More than an operation has boundaries."""
_numbers = itertools.count()


def _topic() -> str:
    return f"struck-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


def _filled(servers: str) -> str:
    topic = _topic()
    producer = confluent_kafka.Producer({"bootstrap.servers": servers})
    for number in range(RECORDS):
        producer.produce(topic, b"%d" % number, headers=[("traceparent", b"00-%032x-%016x-01" % (7, number + 1))])
    producer.flush(60)
    return topic


def _taken(take: Callable[[], Any], release: Callable[[], Any]) -> None:
    """take(), and then the program is done with its records. A second time, because the strike may have hit
    the first.
    """
    try:
        try:
            try:
                take()
            finally:
                release()
        finally:
            release()
    except BaseException as error:
        error.__traceback__ = None  # it holds the frames, these hold iterators: a program drops all three together
        raise


@contextmanager
def confluent_produce(servers: str) -> Iterator[Operation]:
    delivered: list[Any] = []
    producer = confluent_kafka.Producer({"bootstrap.servers": servers})
    topic = _topic()

    def run() -> None:
        producer.produce(topic, b"v", headers={"mine": b"1"}, on_delivery=lambda *report: delivered.append(report))
        producer.flush(30)

    def done() -> int:
        producer.flush(30)
        return len(delivered)

    yield Operation(run, done)


def confluent_consumer(take: Callable[[Any], Any]) -> Any:
    @contextmanager
    def make(servers: str) -> Iterator[Operation]:
        config = {"bootstrap.servers": servers, "group.id": _topic(), "auto.offset.reset": "earliest"}
        consumer = confluent_kafka.Consumer(config)
        consumer.subscribe([_filled(servers)])

        def release() -> None:
            with contextlib.suppress(confluent_kafka.KafkaException):  # nothing new to commit
                consumer.commit(asynchronous=True)

        def run() -> None:
            _taken(lambda: take(consumer), release)

        yield Operation(run, lambda: 0)
        consumer.close()

    return make


def _poll(consumer: Any) -> None:
    assert consumer.poll(30) is not None


def _consume(consumer: Any) -> None:
    for message in consumer.consume(2, 30):
        assert message.value()


@contextmanager
def kafka_send(servers: str) -> Iterator[Operation]:
    producer = kafka.KafkaProducer(bootstrap_servers=servers, linger_ms=0)
    consumer = kafka.KafkaConsumer(bootstrap_servers=servers)
    topic = _topic()

    def done() -> int:
        producer.flush()
        (count,) = consumer.end_offsets([kafka.TopicPartition(topic, 0)]).values()
        return int(count)

    yield Operation(lambda: producer.send(topic, b"v", headers=[("mine", b"1")]), done)
    producer.close()
    consumer.close()


def kafka_consumer(take: Callable[[Any], Any]) -> Any:
    @contextmanager
    def make(servers: str) -> Iterator[Operation]:
        consumer = kafka.KafkaConsumer(
            _filled(servers),
            bootstrap_servers=servers,
            group_id=_topic(),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

        def run() -> None:
            _taken(lambda: take(consumer), consumer.commit_async)

        yield Operation(run, lambda: 0)
        consumer.close()

    return make


def _loop(consumer: Any) -> None:
    for record in itertools.islice(consumer, 2):
        assert record.value


def _lists(consumer: Any) -> None:
    for records in consumer.poll(30_000, max_records=2).values():
        for record in records:
            assert record.value


OPERATIONS: dict[str, Callable[[str], Any]] = {
    "confluent_kafka, produce and deliver": confluent_produce,
    "confluent_kafka, poll": confluent_consumer(_poll),
    "confluent_kafka, consume": confluent_consumer(_consume),
    "kafka, send": kafka_send,
    "kafka, for": kafka_consumer(_loop),
    "kafka, next": kafka_consumer(next),
    "kafka, poll": kafka_consumer(_lists),
}
