"""kafka-python's transactions: a producer span ends once, with the acknowledgement; each record consumed has a span.

Since kafka-python 2.2; a version without them has none of these tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.structs import OffsetAndMetadata

from tests.contracts.messaging import own_work
from tests.patches.kafka_python_stage import IN_TRANSACTIONS, KafkaPython, Stage, outcome, outcome_of_span, wait_for
from tests.recorded import Recorded, is_child, nothing_current, tags

Begun = Callable[..., KafkaProducer]


class Transactions(KafkaPython):
    @pytest.fixture
    def begun(self, stage: Stage) -> Begun:
        """begun(**config): a producer in its first transaction."""

        def make(**config: Any) -> KafkaProducer:
            made = stage.producer(transactional_id=stage.topic, **config)
            made.init_transactions()
            made.begin_transaction()
            return made

        return make

    def test_what_is_committed_has_its_offsets(self, stage: Stage, spans: Recorded, begun: Begun) -> None:
        producer = begun(linger_ms=60_000)
        futures = [producer.send(stage.topic, b"v") for _ in range(3)]
        producer.commit_transaction()
        assert [outcome(future) for future in futures] == [("offset", number) for number in range(3)]
        wait_for(lambda: len(spans) >= 3)
        assert [outcome_of_span(span) for span in spans] == [("offset", number) for number in range(3)]

    def test_what_is_aborted_after_it_was_answered_keeps_its_offset(
        self, stage: Stage, spans: Recorded, begun: Begun
    ) -> None:
        """The broker has taken the record; that nobody shall read it is no failure of the send."""
        producer = begun()
        assert producer.send(stage.topic, b"v").get(30).offset == 0
        producer.abort_transaction()
        assert outcome_of_span(spans.one()) == ("offset", 0)

    def test_what_is_aborted_before_it_was_sent_fails(self, stage: Stage, spans: Recorded, begun: Begun) -> None:
        producer = begun(linger_ms=60_000)
        futures = [producer.send(stage.topic, b"v") for _ in range(3)]
        assert spans == []
        producer.abort_transaction()
        found = [outcome(future) for future in futures]
        assert {kind for kind, _ in found} == {"error"}
        wait_for(lambda: len(spans) >= 3)
        assert [outcome_of_span(span) for span in spans] == found

    def test_a_producer_that_another_has_replaced_fails(self, stage: Stage, spans: Recorded, begun: Begun) -> None:
        old = begun()
        old.send(stage.topic, b"old").get(30)
        new = begun()
        future = old.send(stage.topic, b"too late")
        assert outcome(future)[0] == "error"
        new.send(stage.topic, b"new").get(30)
        new.commit_transaction()
        wait_for(lambda: len(spans) >= 3)
        assert [outcome_of_span(span)[0] for span in spans] == ["offset", "error", "offset"]
        assert outcome_of_span(spans[1]) == outcome(future)

    def test_only_what_is_committed_is_consumed_each_record_in_its_own_span(
        self, stage: Stage, spans: Recorded, begun: Begun
    ) -> None:
        producer = begun()
        for number in range(4):
            producer.send(stage.topic, b"%d" % number).get(30)
            producer.commit_transaction() if number % 2 else producer.abort_transaction()
            producer.begin_transaction()
        producer.send(stage.topic, b"open").get(30)
        values = []
        for record in stage.consumer(isolation_level="read_committed"):
            values.append(record.value)
            own_work(record.value.decode())
        assert values == [b"1", b"3"]
        assert nothing_current()
        for number, processed in zip((1, 3), spans.consumers, strict=True):
            assert is_child(processed, spans.producers[number])
            (work,) = [span for span in spans if span.name == str(number)]
            assert is_child(work, processed)
        producer.abort_transaction()

    def test_a_consumer_that_does_not_care_sees_all(self, stage: Stage, spans: Recorded, begun: Begun) -> None:
        producer = begun()
        producer.send(stage.topic, b"aborted").get(30)
        producer.abort_transaction()
        assert [record.value for record in stage.consumer()] == [b"aborted"]
        assert is_child(spans.consumers[0], spans.producers[0])

    def test_a_record_is_consumed_and_answered_in_one_transaction(
        self, stage: Stage, spans: Recorded, begun: Begun
    ) -> None:
        """Consume, produce, commit both: what is sent is part of the record's work, and so is the rest of the body."""
        stage.sent(1)
        producer = begun()
        answers = f"{stage.topic}-answers"
        consumer = stage.consumer(group_id=stage.topic, enable_auto_commit=False, consumer_timeout_ms=60_000)
        for record in consumer:
            producer.send(answers, b"answer")
            offset = OffsetAndMetadata(record.offset + 1, "", -1)
            group = getattr(consumer, "group_metadata", lambda: stage.topic)()
            producer.send_offsets_to_transaction({stage.partition(0): offset}, group)
            producer.commit_transaction()
            own_work("after")
            break
        wait_for(
            lambda: consumer.committed(stage.partition(0)) == 1
        )  # the coordinator answers before the markers are written
        wait_for(lambda: len(spans.producers) >= 2)
        (processed,), (_, answered) = spans.consumers, spans.producers
        (after,) = [span for span in spans if span.name == "after"]
        assert is_child(answered, processed)
        assert is_child(after, processed)

    def test_an_exception_in_the_body_that_aborts_is_the_records_failure(
        self, stage: Stage, spans: Recorded, begun: Begun
    ) -> None:
        stage.sent(1)
        producer = begun(linger_ms=60_000)
        with pytest.raises(LookupError):
            for _ in stage.consumer(consumer_timeout_ms=60_000):
                future = producer.send(f"{stage.topic}-answers", b"answer")
                try:
                    raise LookupError("no such order")
                except LookupError:
                    producer.abort_transaction()
                    raise
        assert nothing_current()
        wait_for(lambda: len(spans.producers) >= 2)
        assert tags(spans.consumers[0])["error.type"] == "LookupError"
        assert outcome_of_span(spans.producers[1]) == outcome(future)


if IN_TRANSACTIONS:

    class TestTransactions(Transactions):
        pass
