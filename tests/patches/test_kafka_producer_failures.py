"""kafka-python's producer fails or ends early: each send has one span, which ends once, as its future does.

kafka-python before 3.0 does not split a batch that the broker finds too large: then all of its records fail.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kafka
import pytest
from kafka import KafkaProducer
from kafka.producer.record_accumulator import RecordAccumulator

from test_services.kafka_broker import real_or_mock
from test_services.mock_broker import MockBroker
from tests.contracts.messaging import own_work
from tests.patches.kafka_python_stage import KafkaPython, Stage, outcome, outcome_of_span, wait_for
from tests.recorded import Recorded, is_child, nothing_current

SPLITS = hasattr(RecordAccumulator, "split_and_reenqueue")
BOUNDED = "buffer_memory" in KafkaProducer.DEFAULT_CONFIG
AT_ONCE: dict[str, Any] = {"retries": 0, "request_timeout_ms": 500, "max_block_ms": 500}
"""Settings of a client that gives up soon."""
for _name, _value in {"delivery_timeout_ms": 500, "enable_idempotence": False}.items():
    if _name in KafkaProducer.DEFAULT_CONFIG:
        AT_ONCE[_name] = _value


def assert_outcomes(spans: Recorded, futures: list[Any], kinds: set[str]) -> None:
    """One span for each send, in any order, with what its future says."""
    expected = sorted(outcome(future) for future in futures)
    assert {kind for kind, _ in expected} == kinds
    wait_for(lambda: len(spans.producers) >= len(futures))
    assert sorted(outcome_of_span(span) for span in spans.producers) == expected


class TestEnds(KafkaPython):
    """Where the program does not wait for an answer."""

    def test_flush(self, stage: Stage, spans: Recorded) -> None:
        producer = stage.producer(linger_ms=60_000)
        futures = [producer.send(stage.topic, b"v") for _ in range(5)]
        assert spans == []
        producer.flush()
        assert_outcomes(spans, futures, {"offset"})

    def test_a_flush_that_gives_up_ends_nothing(self, stage: Stage, spans: Recorded) -> None:
        producer = stage.producer(linger_ms=60_000)
        producer.send(stage.topic, b"v").add_callback(lambda metadata: own_work("ack"))
        with pytest.raises(kafka.errors.KafkaTimeoutError):
            producer.flush(0)
        assert spans.producers == []
        producer.flush()
        wait_for(lambda: len(spans) == 2)
        (sent,), (work,) = spans.producers, [span for span in spans if span.name == "ack"]
        assert outcome_of_span(sent) == ("offset", 0)
        assert is_child(work, sent)

    def test_close_with_records_in_flight(self, stage: Stage, spans: Recorded) -> None:
        producer = stage.producer(linger_ms=60_000)
        futures = [producer.send(stage.topic, b"v") for _ in range(5)]
        producer.close()
        assert_outcomes(spans, futures, {"offset"})

    def test_close_that_does_not_wait(self, stage: Stage, spans: Recorded) -> None:
        """The records are given up. Some versions raise from close(), some not."""
        producer = stage.producer(linger_ms=60_000)
        producer.send(stage.topic, b"v")
        producer.flush()
        futures = [producer.send(stage.topic, b"v") for _ in range(3)]
        seen: list[Any] = []
        futures[0].add_errback(lambda error: seen.append(own_work("failed")))
        try:
            producer.close(timeout=0)
        except kafka.errors.KafkaTimeoutError:
            producer._sender.force_close()
        wait_for(lambda: len(spans.producers) == 4)
        first, *failed = spans.producers
        assert outcome_of_span(first) == ("offset", 0)
        assert [outcome_of_span(span) for span in failed] == [outcome(future) for future in futures]
        assert {kind for kind, _ in map(outcome_of_span, failed)} == {"error"}
        wait_for(lambda: seen)
        assert is_child(seen[0], failed[0])

    def test_a_producer_that_is_closed_refuses(self, stage: Stage, spans: Recorded) -> None:
        producer = stage.producer(max_block_ms=300)  # the oldest do not look whether they are closed
        producer.close()
        with pytest.raises((AssertionError, kafka.errors.KafkaError)) as caught:
            producer.send(stage.topic, b"v")
        assert outcome_of_span(spans.one())[1].endswith(caught.type.__name__)
        assert nothing_current()

    def test_dropped_with_records_in_flight(self, stage: Stage, spans: Recorded) -> None:
        producer = KafkaProducer(bootstrap_servers=stage.servers, linger_ms=60_000)
        producer.send(stage.topic, b"v")
        producer.close()
        del producer
        gc.collect()
        wait_for(lambda: len(spans) >= 1)
        assert outcome_of_span(spans.one())[0] == "offset"


class TestTooLarge(KafkaPython):
    """A batch that the broker takes for too large, though each of its records is not."""

    def test_a_batch_that_is_split_or_refused_whole(self, stage: Stage, spans: Recorded) -> None:
        stage.partitioned(1, max_message_bytes="3000")
        producer = stage.producer(linger_ms=200)  # no flush(): in 3.0 it raises where a batch is split
        futures = [producer.send(stage.topic, b"%d" % number * 500) for number in range(8)]
        seen: list[int] = []
        for number, future in enumerate(futures):
            future.add_both(lambda _, number=number: seen.append(own_work(str(number))))
        assert_outcomes(spans, futures, {"offset" if SPLITS else "error"})
        wait_for(lambda: len(seen) == 8)
        for sent in spans.producers:
            assert len([span for span in spans if is_child(span, sent)]) == 1
        values = [record.value[:1] for record in stage.consumer()]
        assert values == ([b"%d" % number for number in range(8)] if SPLITS else [])

    def test_one_record_among_others(self, stage: Stage, spans: Recorded) -> None:
        stage.partitioned(1, max_message_bytes="3000")
        producer = stage.producer(linger_ms=200)
        futures = [producer.send(stage.topic, b"v" * size) for size in (10, 5000, 10)]
        found = [outcome(future) for future in futures]
        assert ("error", "kafka.errors.MessageSizeTooLargeError") in found
        wait_for(lambda: len(spans) >= 3)
        assert sorted(map(outcome_of_span, spans)) == sorted(found)


class Mortal(KafkaPython):
    """A broker of the test's own: Apache Kafka, with many versions side by side librdkafka's mock cluster."""

    @pytest.fixture
    def mortal(self) -> Iterator[Any]:
        part = MockBroker().start() if "KAFKA_BOOTSTRAP_SERVERS" in os.environ else real_or_mock("4")
        yield part
        part.stop()

    @pytest.fixture
    def broker(self, mortal: Any) -> str:
        return str(mortal.bootstrap_servers)


def thread_states(pid: int) -> list[str]:
    """The state letter of each thread: T is stopped."""
    return [stat.read_text().rpartition(") ")[2][0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]


@contextlib.contextmanager
def stricken(part: Any, how: Any) -> Iterator[None]:
    os.kill(part.pid, how)
    if how == signal.SIGSTOP:
        wait_for(lambda: all(state == "T" for state in thread_states(part.pid)))  # one that still runs may answer
    try:
        yield
    finally:
        if how == signal.SIGSTOP:
            os.kill(part.pid, signal.SIGCONT)


class TestBrokerGone(Mortal):
    @pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["it does not answer", "it is gone"])
    def test_requests_and_metadata_time_out(self, stage: Stage, spans: Recorded, mortal: Any, how: Any) -> None:
        """What was sent fails later; a topic that is not known yet makes send() itself wait, and raise."""
        producer = stage.producer(**AT_ONCE)
        producer.send(stage.topic, b"v").get(30)
        with stricken(mortal, how):
            futures = [producer.send(stage.topic, b"v") for _ in range(3)]
            failed: list[Any] = []
            futures[0].add_errback(lambda error: failed.append(own_work("failed")))
            for future in futures:
                assert outcome(future)[0] == "error"
            wait_for(lambda: len(spans.producers) >= 4 and failed)
            answered, *lost = spans.producers
            assert outcome_of_span(answered) == ("offset", 0)
            assert sorted(map(outcome_of_span, lost)) == sorted(map(outcome, futures))
            assert sum(is_child(failed[0], span) for span in lost) == 1
            with pytest.raises(kafka.errors.KafkaTimeoutError):
                producer.send(f"{stage.topic}-other", b"v")
            assert outcome_of_span(spans.producers[4]) == ("error", "kafka.errors.KafkaTimeoutError")
            assert nothing_current()
            assert len(spans.producers) == 5


if BOUNDED:

    class TestBuffer(Mortal):
        """The oldest versions bound the memory of what waits for an answer; later ones do not."""

        def test_a_buffer_that_is_full(self, stage: Stage, spans: Recorded, mortal: Any) -> None:
            producer = stage.producer(max_block_ms=300, buffer_memory=2000, batch_size=1000, max_request_size=1000)
            producer.send(stage.topic, b"v").get(30)
            with stricken(mortal, signal.SIGSTOP):
                futures, refused = [], 0
                for _ in range(5):
                    try:
                        futures.append(producer.send(stage.topic, b"v" * 500))
                    except kafka.errors.KafkaTimeoutError:
                        refused += 1
                assert refused
            assert {outcome(future)[0] for future in futures} == {"offset"}
            wait_for(lambda: len(spans) >= 6)
            failed = [outcome_of_span(span) for span in spans if outcome_of_span(span)[0] == "error"]
            assert failed == [("error", "kafka.errors.KafkaTimeoutError")] * refused
            assert len(spans) == 6
