"""kafka-python's group or position changes while a record's span is active: each record's work stays in its trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from opentelemetry import trace

from tests.contracts.messaging import own_work
from tests.patches.kafka_python_stage import KafkaPython, Stage, polled, wait_for
from tests.recorded import Recorded, is_child, nothing_current, tags

GROUP: dict[str, Any] = {
    "enable_auto_commit": False,
    "heartbeat_interval_ms": 100,
    "consumer_timeout_ms": 60_000,
    "max_poll_records": 4,
}


def assert_each_in_its_own(spans: Recorded) -> None:
    """Each record's span is its producer's child, and its body's span is its own child."""
    sent = {(tags(span)["partition"], tags(span)["offset"]): span for span in spans.producers}
    iterated = [span for span in spans.consumers if span.name.startswith("process")]
    for processed in iterated:
        place = tags(processed)["partition"], tags(processed)["offset"]
        assert is_child(processed, sent[place])
    bodies = [span for span in spans if span.name.startswith("body")]
    assert len(bodies) == len(iterated)
    parents = {span.span_id: tags(span) for span in iterated}
    for body in bodies:
        found = parents[body.parent_id]
        assert body.name == f"body {found['partition']} {found['offset']}"


def work_on(record: Any) -> None:
    own_work(f"body {record.partition} {record.offset}")


class Heard(ConsumerRebalanceListener):  # type: ignore[misc]
    """What is current when the client calls the program about its partitions."""

    def __init__(self) -> None:
        self.idle: list[bool] = []
        self.revoked = 0

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.idle.append(nothing_current())
        self.revoked += len(revoked)

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.idle.append(nothing_current())


class TestRebalance(KafkaPython):
    @pytest.fixture
    def listening(self, stage: Stage) -> tuple[KafkaConsumer, Heard]:
        """The first consumer of a group, with both partitions, each of them with four records."""
        stage.partitioned(2)
        stage.sent(4, partition=0)
        stage.sent(4, partition=1)
        consumer, heard = stage.consumer(group_id=stage.topic, **GROUP), Heard()
        consumer.subscribe([stage.topic], listener=heard)
        return consumer, heard

    @pytest.fixture
    def other(self, stage: Stage) -> Iterator[Any]:
        """other(): a second consumer joins, in a thread of its own, and works on its records until the test ends."""
        done = threading.Event()
        threads = []

        def join() -> list[Any]:
            seen: list[Any] = []
            consumer = stage.consumer(group_id=stage.topic, **GROUP)

            def work() -> None:
                while not done.is_set():
                    for records in consumer.poll(2000).values():
                        for record in records:
                            work_on(record)
                            seen.append(record)

            threads.append(threading.Thread(target=work))
            threads[-1].start()
            return seen

        yield join
        done.set()
        for thread in threads:
            thread.join()

    def test_in_the_middle_of_a_loop(self, stage: Stage, spans: Recorded, listening: Any, other: Any) -> None:
        """The client gives up its partitions inside of next(), where no record is active any more."""
        consumer, heard = listening
        seen: list[Any] | None = None
        for record in consumer:
            work_on(record)
            if seen is None:
                seen = other()
            elif heard.revoked and seen:
                break
            consumer.seek(stage.partition(record.partition), record.offset)  # again, until the other has joined
        assert nothing_current()
        assert len(heard.idle) >= 2
        assert all(heard.idle)
        assert_each_in_its_own(spans)

    def test_in_the_middle_of_a_list(self, stage: Stage, spans: Recorded, listening: Any, other: Any) -> None:
        """The program polls while it works on a list, to stay in its group. Its record stays active; the rest follows.

        If the group gives the partition to the other consumer, these records have a span here and one there.
        """
        consumer, heard = listening
        ((partition, records),) = polled(consumer).items()
        assert len(records) == 4
        seen: list[Any] = []
        for record in records:
            work_on(record)
            if record.offset == 1:
                before = trace.get_current_span()
                consumer.pause(*consumer.assignment())
                seen = other()
                wait_for(lambda: consumer.poll(3000) is not None and heard.revoked and len(consumer.assignment()) == 1)
                assert trace.get_current_span() is before
        assert nothing_current()
        wait_for(lambda: len(seen) >= 4)
        mine = [span.facts for span in spans.consumers if span.facts["partition"] == partition.partition]
        lags = {(facts["offset"], facts["lag"]) for facts in mine if "lag" in facts}  # none without the partition
        assert {(0, 3), (1, 2)} <= lags <= {(offset, 3 - offset) for offset in range(4)}
        assert_each_in_its_own(spans)


def resume(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> None:
    """Up to 2.0.2 what the client had fetched when it was paused is lost, traced or not: so we say where it goes on."""
    consumer.resume(partition)
    consumer.seek(partition, offset)


class TestPositions(KafkaPython):
    def test_a_record_that_is_read_again_in_a_loop_has_a_span_of_its_own(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(3)
        consumer, seen = stage.consumer(), []
        for record in consumer:
            work_on(record)
            seen.append(record.offset)
            if len(seen) == 2:
                consumer.seek(stage.partition(0), 0)
        assert seen == [0, 1, 0, 1, 2]
        assert nothing_current()
        assert [tags(span)["offset"] for span in spans.consumers] == seen
        assert_each_in_its_own(spans)

    def test_a_record_that_is_polled_again_has_a_span_of_its_own(self, stage: Stage, spans: Recorded) -> None:
        """Also while the first list is still held, and though the two records are equal."""
        stage.sent(2)
        consumer = stage.consumer()
        held = []
        for _ in range(2):
            ((_, records),) = polled(consumer).items()
            held.append(records)
            for record in records:
                work_on(record)
                assert not nothing_current()
            consumer.seek_to_beginning()
        assert held[0] == held[1]
        assert nothing_current()
        assert [tags(span)["offset"] for span in spans.consumers] == [0, 1, 0, 1]
        assert_each_in_its_own(spans)

    def test_a_record_that_is_read_again_by_next(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(1)
        consumer = stage.consumer(consumer_timeout_ms=60_000)
        for _ in range(2):
            work_on(next(consumer))
            consumer.seek(stage.partition(0), 0)
            assert not nothing_current()  # the program still has its record
        consumer.close()
        assert nothing_current()
        assert_each_in_its_own(spans)

    def test_a_list_whose_partition_was_given_up_meanwhile(self, stage: Stage, spans: Recorded) -> None:
        """What is left of it is still worked on; how far it is from the end is not known any more."""
        stage.partitioned(2)
        stage.sent(3)
        consumer = stage.consumer()
        ((_, records),) = polled(consumer).items()
        for record in records:
            work_on(record)
            consumer.assign([stage.partition(1)])
        assert nothing_current()
        assert [span.facts.get("lag") for span in spans.consumers] == [2, None, None]
        assert_each_in_its_own(spans)

    def test_a_partition_that_is_paused_and_resumed_in_the_body(self, stage: Stage, spans: Recorded) -> None:
        stage.partitioned(2)
        stage.sent(3, partition=0)
        stage.sent(3, partition=1)
        consumer, seen = stage.consumer(), []
        consumer.assign([stage.partition(0), stage.partition(1)])
        first = None
        for record in consumer:
            work_on(record)
            seen.append(record.partition)
            if first is None:
                first = record.partition
                consumer.pause(stage.partition(first))
            elif len(seen) == 4:
                resume(consumer, stage.partition(first), 1)
        assert nothing_current()
        assert first is not None
        assert seen == [first, *[1 - first] * 3, *[first] * 2]
        assert_each_in_its_own(spans)

    def test_all_that_is_paused_ends_the_loop_and_what_is_resumed_goes_on(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(2)
        consumer, seen = stage.consumer(), []
        for record in consumer:
            work_on(record)
            seen.append(record.offset)
            consumer.pause(stage.partition(0))
        assert (seen, nothing_current(), len(spans.consumers)) == ([0], True, 1)
        resume(consumer, stage.partition(0), 1)
        for record in consumer:
            work_on(record)
            seen.append(record.offset)
        assert (seen, nothing_current()) == ([0, 1], True)
        assert_each_in_its_own(spans)
