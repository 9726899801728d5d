"""kafka-python against a real broker: what other agents get wrong, and that the program sees nothing of us.

tests/end_to_end/test_kafka_python_versions.py runs this file with every version, on the broker KAFKA_BOOTSTRAP_SERVERS.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import kafka as kafka_python
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.future import Future
from kafka.producer.future import FutureProduceResult, FutureRecordMetadata
from opentelemetry import trace

import autotrace
from autotrace import containment
from autotrace.messaging import attribute_records
from autotrace.messaging.consumer import ConsumerState
from autotrace.patches import kafka as patch
from autotrace.patching import MARK, Plan, Unpatchable
from autotrace.semantics import peer, topics
from autotrace.semantics.kafka import first_server, short_key
from autotrace.setting_types import any_of
from autotrace.tracing import propagate
from tests.contracts.messaging import MessagingPromises, own_work
from tests.patches.kafka_python_stage import MINUTES, ToTheEnd, wait_for
from tests.recorded import Recorded, is_child, nothing_current, tags

SEND = KafkaProducer.send
UNTRACED_SEND = getattr(SEND, MARK)
_numbers = count()


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or request.getfixturevalue("kafka").bootstrap_servers


@pytest.fixture(scope="module")
def old_broker(request: pytest.FixtureRequest) -> str:
    """One that still speaks the protocol of 0.10, before there were headers."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or request.getfixturevalue("kafka3").bootstrap_servers


@pytest.fixture
def topic() -> str:
    return f"topic-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


@pytest.fixture(scope="module")
def producer(broker: str) -> Iterator[KafkaProducer]:
    made = KafkaProducer(bootstrap_servers=broker)
    yield made
    made.close()


Consumers = Callable[..., ToTheEnd]


@pytest.fixture
def consumer(broker: str, topic: str, producer: KafkaProducer) -> Iterator[Consumers]:
    """consumer(**config): of the test's topic from its beginning, without a group unless one is given."""
    made = []

    def make(*, group_id: str | None = None, timeout: int = 600, **config: Any) -> ToTheEnd:
        config = {"consumer_timeout_ms": timeout, "auto_offset_reset": "earliest", **config}
        found = ToTheEnd(bootstrap_servers=broker, group_id=group_id, **config)
        made.append(found)
        if group_id is None:
            producer.partitions_for(topic)  # makes it, where nothing was sent to it yet
            found.assign([TopicPartition(topic, 0)])
        else:
            found.subscribe([topic])
        return found

    yield make
    for each in made:
        each.close()


def polled(found: KafkaConsumer, *arguments: Any, **named: Any) -> list[Any]:
    """The list of one partition of the first poll that is not empty."""
    deadline = time.monotonic() + MINUTES
    while time.monotonic() < deadline:
        lists = list(found.poll(*arguments or (200,), **named).values())
        if lists:
            return lists[0]  # type: ignore[no-any-return]
    raise AssertionError("no record came")


class Client:
    """The contract's client: a topic, and how the program takes records from it."""

    def __init__(self, topic: str, producer: KafkaProducer, loop: Callable[[], Iterable[Any]]) -> None:
        self.topic = topic
        self.producer = producer
        self.loop = loop

    def send(self, value: bytes, headers: Any = None) -> None:
        self.producer.send(self.topic, value, headers=headers).get(30)

    def send_untraced(self, value: bytes, headers: Any) -> None:
        UNTRACED_SEND(self.producer, self.topic, value, headers=headers).get(30)

    def value(self, record: Any) -> Any:
        return record.value

    def headers(self, record: Any) -> Any:
        return record.headers


class TestForLoop(MessagingPromises):
    @pytest.fixture
    def client(self, topic: str, producer: KafkaProducer, consumer: Consumers) -> Any:
        return Client(topic, producer, consumer)


class TestPollLoop(MessagingPromises):
    """The same promises to a program that polls."""

    @pytest.fixture
    def client(self, topic: str, producer: KafkaProducer, consumer: Consumers) -> Any:
        def loop() -> Iterator[Any]:
            found = consumer()
            idle_since = time.monotonic()
            while time.monotonic() < idle_since + 0.6 or found.is_behind():
                for records in found.poll(100, max_records=1).values():
                    for record in records:
                        yield record
                        idle_since = time.monotonic()

        return Client(topic, producer, loop)


class TestSend:
    def send(self, producer: KafkaProducer, *arguments: Any, **named: Any) -> Any:
        return producer.send(*arguments, **named).get(30)

    @pytest.mark.parametrize("headers", [None, [], [("mine", b"1"), ("mine", b"2")]], ids=["none", "empty", "some"])
    @pytest.mark.parametrize("positional", [True, False])
    def test_headers_in_every_form(
        self, topic: str, producer: KafkaProducer, consumer: Consumers, spans: Recorded, headers: Any, positional: bool
    ) -> None:
        """Positional, by keyword, or None."""
        before = None if headers is None else list(headers)
        if positional:
            self.send(producer, topic, b"v", b"k", headers, 0, 1_700_000_000_000)
        else:
            self.send(producer, topic=topic, value=b"v", key=b"k", headers=headers, partition=0)
        assert headers == before
        (record,) = consumer()
        assert (record.key, record.value) == (b"k", b"v")
        assert record.headers[: len(headers or [])] == (headers or [])
        (sent,) = spans.producers
        assert dict(record.headers)["X-B3-TraceId"] == b"%032x" % sent.trace_id
        assert tags(sent)["messaging.kafka.message.key"] == "k"

    def test_positional_none_up_to_the_end(
        self, topic: str, producer: KafkaProducer, consumer: Consumers, spans: Recorded
    ) -> None:
        """A positional None for each argument makes other agents raise TypeError, or lose the record."""
        self.send(producer, topic, b"v", None, None, None, None)
        assert [record.value for record in consumer()] == [b"v"]
        assert len(spans.producers) == 1

    def test_a_list_that_is_used_again_carries_one_context(
        self, topic: str, producer: KafkaProducer, consumer: Consumers, spans: Recorded
    ) -> None:
        """The program's list is not appended to."""
        headers = [("mine", b"1")]
        for _ in range(3):
            self.send(producer, topic, b"v", headers=headers)
        assert headers == [("mine", b"1")]
        for record, sent in zip(consumer(), spans.producers, strict=True):
            assert [value for name, value in record.headers if name == "X-B3-SpanId"] == [b"%016x" % sent.span_id]

    def test_send_returns_the_librarys_own_future(self, topic: str, producer: KafkaProducer, spans: Recorded) -> None:
        future = producer.send(topic, b"v")
        assert type(future) is FutureRecordMetadata
        metadata = future.get(30)
        assert (metadata.topic, metadata.partition, metadata.offset) == (topic, 0, 0)
        assert future.succeeded()

    def test_the_span_ends_with_the_brokers_answer(self, topic: str, broker: str, spans: Recorded) -> None:
        """Not when send() returns."""
        with contextlib.closing(KafkaProducer(bootstrap_servers=broker, linger_ms=60_000)) as slow:
            slow.send(topic, b"v")
            assert spans == []
            assert nothing_current()
            slow.flush()
            assert tags(spans.one())["messaging.kafka.offset"] == 0

    def test_without_acknowledgement_no_offset_is_told(self, topic: str, broker: str, spans: Recorded) -> None:
        """The mesh arena sends with acks=0. An unknown offset is no tag, never -1."""
        config: dict[str, Any] = {"acks": 0}
        if "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG:
            config["enable_idempotence"] = False
        with contextlib.closing(KafkaProducer(bootstrap_servers=broker, **config)) as careless:
            careless.send(topic, b"v").get(30)
        found = tags(spans.one())
        assert found["partition"] == 0
        assert "messaging.kafka.offset" not in found

    def test_the_programs_acknowledgement_runs_with_the_producer_current(
        self, topic: str, broker: str, spans: Recorded
    ) -> None:
        with contextlib.closing(KafkaProducer(bootstrap_servers=broker, linger_ms=60_000)) as slow:
            seen: list[Any] = []
            future = slow.send(topic, b"v")
            assert future.add_callback(lambda *args: seen.append((args, own_work("ack"))), "first") is future
            future.add_both(lambda *args: own_work("both"))
            future.add_errback(lambda error: own_work("never"))
            slow.flush()
            metadata = future.get(30)
        assert seen[0][0] == ("first", metadata)
        (sent,) = spans.producers
        for name in ("ack", "both"):
            (work,) = [span for span in spans if span.name == name]
            assert is_child(work, sent)
        assert not [span for span in spans if span.name == "never"]

    def test_an_acknowledgement_that_is_added_late_too(
        self, topic: str, producer: KafkaProducer, spans: Recorded
    ) -> None:
        future = producer.send(topic, b"v")
        future.get(30)
        wait_for(lambda: spans)  # get() wakes before the future's callbacks have run
        future.add_callback(lambda metadata: own_work("late"))
        (sent,) = spans.producers
        (work,) = [span for span in spans if span.name == "late"]
        assert is_child(work, sent)
        assert nothing_current()

    def test_an_acknowledgement_that_raises_harms_nobody(self, topic: str, broker: str, spans: Recorded) -> None:
        with contextlib.closing(KafkaProducer(bootstrap_servers=broker, linger_ms=60_000)) as slow:
            future = slow.send(topic, b"v")
            future.add_callback(lambda metadata: 1 / 0)
            slow.flush()
            assert future.get(30).offset == 0
        assert "error" not in tags(spans.one())

    def test_futures_that_are_none_of_ours_are_left_alone(self, spans: Recorded) -> None:
        future = FutureRecordMetadata(FutureProduceResult(TopicPartition("t", 0)), 0, 0, None, 0, 0, 0)
        seen: list[Any] = []
        future.add_callback(seen.append)
        future.success("done")
        assert seen == ["done"]
        with pytest.raises(TypeError):
            future.add_callback()
        assert not hasattr(Future.add_callback, MARK)

    def test_a_record_that_just_fits_is_sent_without_our_headers(
        self, topic: str, broker: str, consumer: Consumers, spans: Recorded
    ) -> None:
        fitting = KafkaProducer(
            bootstrap_servers=broker, max_request_size=2000, value_serializer=lambda value: b"x" * value
        )
        with contextlib.closing(fitting):
            room = 3800 - fitting._estimate_size_in_bytes(None, b"x" * 1800, [("mine", b"1")])
            fitting.send(topic, room, headers=[("mine", b"1")]).get(30)
            fitting.send(topic, room - 500).get(30)
        first, second = spans.producers
        assert "error" not in {**tags(first), **tags(second)}
        spans.clear()
        records = polled(consumer())
        assert records[0].headers == [("mine", b"1")], "our headers would not fit"
        assert "traceparent" in dict(records[1].headers)

    def test_a_record_too_large_is_the_spans_failure(self, topic: str, broker: str, spans: Recorded) -> None:
        """kafka-python 2.x returns a future that has failed already, 3.x raises."""
        small = KafkaProducer(bootstrap_servers=broker, max_request_size=2000)
        with contextlib.closing(small), pytest.raises(kafka_python.errors.MessageSizeTooLargeError):
            small.send(topic, b"v" * 3000).get(30)
        assert tags(spans.one())["error.type"].endswith("MessageSizeTooLargeError")

    def test_a_refusal_by_the_broker_is_the_spans_failure(self, topic: str, broker: str, spans: Recorded) -> None:
        """The answer comes after send() has returned."""
        with contextlib.closing(KafkaProducer(bootstrap_servers=broker, max_request_size=3_000_000)) as large:
            future = large.send(topic, b"v" * 2_000_000)
            with pytest.raises(kafka_python.errors.KafkaError) as caught:
                future.get(30)
        sent = spans.one()
        assert tags(sent)["error.type"] == f"{type(caught.value).__module__}.{type(caught.value).__qualname__}"

    def test_what_the_library_raises_passes_and_is_told(
        self, topic: str, producer: KafkaProducer, spans: Recorded
    ) -> None:
        """Errors of the library reach the program, and are on the span."""
        expected = _outcome(lambda: UNTRACED_SEND(producer, topic, {"not": "bytes"}))
        assert _outcome(lambda: producer.send(topic, {"not": "bytes"})) == expected
        assert expected[0] in (AssertionError, TypeError)
        assert tags(spans.one())["error.type"] == expected[0].__name__
        assert nothing_current()

    def test_a_serializer_that_raises_passes_and_is_told(self, topic: str, broker: str, spans: Recorded) -> None:
        def serialize(value: Any) -> bytes:
            raise LookupError("no schema")

        made = KafkaProducer(bootstrap_servers=broker, value_serializer=serialize)
        with contextlib.closing(made), pytest.raises(LookupError, match="no schema"):
            made.send(topic, {"a": 1})
        assert tags(spans.one())["error.type"] == "LookupError"

    @pytest.mark.parametrize(
        "arguments",
        [(), ("t",), ("t", b"v", b"k", [("a", "no bytes")]), ("t", b"v", b"k", ("a",)), ("t", b"v", b"k", 5)],
    )
    def test_wrong_calls_fail_as_they_would(
        self, producer: KafkaProducer, spans: Recorded, arguments: tuple[Any, ...]
    ) -> None:
        expected = _outcome(lambda: UNTRACED_SEND(producer, *arguments))
        assert issubclass(expected[0], Exception)
        assert _outcome(lambda: producer.send(*arguments)) == expected

    def test_a_list_of_the_programs_own_class_stays_one(
        self, topic: str, producer: KafkaProducer, consumer: Consumers, spans: Recorded
    ) -> None:
        class Headers(list):  # type: ignore[type-arg]
            pass

        headers = Headers([("mine", b"1")])
        expected = _outcome(lambda: UNTRACED_SEND(producer, topic, b"v", headers=headers).get(30))
        found = _outcome(lambda: producer.send(topic, b"v", headers=headers).get(30))
        assert found[0] is expected[0]
        assert headers == [("mine", b"1")]

    def test_no_headers_for_a_broker_that_cannot_take_them(self, topic: str, old_broker: str, spans: Recorded) -> None:
        """The client asserts that there are none."""
        old = KafkaProducer(bootstrap_servers=old_broker, api_version=(0, 10, 2), acks=1)
        with contextlib.closing(old):
            assert old.send(topic, b"v").get(30).offset == 0
        assert "error" not in tags(spans.one())

    def test_the_peer_is_the_first_configured_server(self, topic: str, broker: str, spans: Recorded) -> None:
        """Kiali wants the host as configured, not the broker that answered."""
        port = broker.rpartition(":")[2]
        with contextlib.closing(KafkaProducer(bootstrap_servers=[f"localhost:{port}", broker])) as made:
            made.send(topic, b"v").get(30)
        found = tags(spans.one())
        assert (found["peer.hostname"], found["peer.address"]) == ("localhost", f"localhost:{port}")

    def test_a_future_that_is_never_answered_ends_its_span_when_it_is_collected(self, spans: Recorded) -> None:
        """kafka-python 2.0.2 can lose a callback in a race."""
        futures = [FutureRecordMetadata(FutureProduceResult(TopicPartition("t", 0)), 0, 0, None, 0, 0, 0)]
        client = types.SimpleNamespace(config={"api_version": (2, 0), "bootstrap_servers": "b", "client_id": "c"})
        send = patch._traced_send(FutureRecordMetadata)(lambda *args, **kwargs: futures.pop())
        future = send(client, "t", b"v")
        assert spans == []
        del future
        gc.collect()  # kafka-python's two futures know each other
        assert len(spans) == 1

    def test_a_future_that_was_done_while_the_callback_was_added(self, spans: Recorded) -> None:
        """The same race: the callback goes to a list that has been called already."""

        class Racing(FutureRecordMetadata):
            def add_callback(self, f: Any, *args: Any, **kwargs: Any) -> Any:
                self.value = types.SimpleNamespace(partition=3, offset=4)
                self.is_done = True
                return self

        future = Racing(FutureProduceResult(TopicPartition("t", 0)), 0, 0, None, 0, 0, 0)
        client = types.SimpleNamespace(config={"api_version": (2, 0), "bootstrap_servers": "b", "client_id": "c"})
        patch._traced_send(Racing)(lambda *args, **kwargs: future)(client, "t", b"v")
        assert (tags(spans.one())["partition"], tags(spans.one())["offset"]) == (3, 4)

    def test_a_subclass_sends_once(self, topic: str, broker: str, spans: Recorded) -> None:
        class Mine(KafkaProducer):  # type: ignore[misc]
            def send(self, topic: str, value: Any = None, **named: Any) -> Any:
                return super().send(topic, value.encode(), **named)

        with contextlib.closing(Mine(bootstrap_servers=broker)) as mine:
            mine.send(topic, "v").get(30)
        assert len(spans) == 1


def _outcome(call: Callable[[], Any]) -> tuple[Any, str]:
    """(exception type or None, its text) of a call."""
    try:
        call()
    except Exception as error:
        return type(error), str(error)
    return None, ""


@pytest.fixture
def three(topic: str, producer: KafkaProducer, spans: Recorded) -> list[Any]:
    """The producer spans of three records in the topic."""
    for number in range(3):
        producer.send(topic, b"%d" % number).get(30)
    wait_for(lambda: len(spans) >= 3)
    return spans.producers


class TestLoop:
    def test_work_for_another_thread_keeps_the_record(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        """Work handed to an executor from the loop is a child of the record's span."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for record in consumer():
                pool.submit(own_work, f"job {record.offset}")
        for processed in spans.consumers:
            (work,) = [span for span in spans if span.name == f"job {tags(processed)['offset']}"]
            assert is_child(work, processed)

    def test_the_consumers_timeout_ends_the_loop_and_the_next_one_goes_on(
        self, three: list[Any], topic: str, producer: KafkaProducer, consumer: Consumers, spans: Recorded
    ) -> None:
        """StopIteration is the library's, not None for ever; and no span stays active."""
        found = consumer()
        assert len(list(found)) == 3
        assert nothing_current()
        with pytest.raises(StopIteration):
            next(found)
        producer.send(topic, b"more").get(30)
        assert [record.value for record in found] == [b"more"]
        assert nothing_current()

    def test_closed_in_the_body(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        """The record's span does not stay active."""
        found = consumer()
        for _ in found:
            assert not nothing_current()
            found.close()
            assert nothing_current()
        assert nothing_current()
        assert len(spans.consumers) == 1
        with pytest.raises(StopIteration):
            next(found)

    def test_a_commit_in_the_body_is_part_of_the_work(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer(group_id=topic, enable_auto_commit=False, timeout=60_000)
        for _ in found:
            found.commit()
            own_work("after")
            break
        (processed,), (work,) = spans.consumers, [span for span in spans if span.name == "after"]
        assert is_child(work, processed)
        assert found.committed(TopicPartition(topic, 0)) == 1
        assert tags(processed)["messaging.consumer.group.name"] == topic

    def test_the_iterator_is_one_and_leads_to_the_consumer(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer()
        loop = iter(found)
        assert isinstance(loop, KafkaConsumer)
        assert iter(loop) is loop
        assert loop.assignment() == {TopicPartition(topic, 0)}
        assert next(loop).offset == 0
        assert type(next(loop)) is ConsumerRecord
        loop.close()
        assert nothing_current()

    def test_a_consumer_that_overrides_next(
        self, three: list[Any], topic: str, broker: str, producer: KafkaProducer, spans: Recorded
    ) -> None:
        class Mine(KafkaConsumer):  # type: ignore[misc]
            def __next__(self) -> str:
                return super().__next__().value.decode()  # type: ignore[no-any-return]

        mine = Mine(bootstrap_servers=broker, consumer_timeout_ms=1000, auto_offset_reset="earliest")
        mine.assign([TopicPartition(topic, 0)])
        with contextlib.closing(mine):
            for value in mine:
                own_work(value)
                if value == "1":
                    break
            assert nothing_current()
        assert len(spans.consumers) == 2
        (work,) = [span for span in spans if span.name == "1"]
        assert is_child(work, spans.consumers[1])

    def test_two_consumers_interleaved(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        one, other = consumer(), consumer()
        for first, second in zip(one, other, strict=False):
            assert first.offset == second.offset
            assert is_child(trace.get_current_span(), three[second.offset])
        assert nothing_current()
        assert len(spans.consumers) == 6

    def test_carry_resumes_a_record_later_and_elsewhere(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        records = list(consumer())
        assert nothing_current()

        def work() -> None:
            for record in records:
                with autotrace.carry(record):  # type: ignore[operator]
                    own_work(f"later {record.offset}")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        for processed in spans.consumers:
            (found,) = [span for span in spans if span.name == f"later {tags(processed)['offset']}"]
            assert is_child(found, processed)
        assert len(spans.consumers) == 3

    def test_records_are_what_they_were(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        for record in consumer():
            assert type(record) is ConsumerRecord
            assert type(record.headers) is list
            assert pickle.loads(pickle.dumps(record)) == record

    def test_no_context_is_ever_detached_wrongly(
        self, three: list[Any], consumer: Consumers, spans: Recorded, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Closed by another thread, and out of order: nothing about a "different Context" is logged."""
        one, other = consumer(), consumer()
        next(one), next(other)
        thread = threading.Thread(target=one.close)
        thread.start()
        thread.join()
        other.close()
        assert nothing_current()
        assert "Context" not in caplog.text


class TestNext:
    def test_a_record_is_current_until_the_next(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        """Work between two calls of next() is a child of the record's span."""
        found = consumer()
        for sent in three:
            next(found)
            assert is_child(trace.get_current_span(), sent)
            own_work("body")
        with pytest.raises(StopIteration):
            next(found)
        assert nothing_current()
        bodies = [span for span in spans if span.name == "body"]
        assert all(is_child(body, processed) for body, processed in zip(bodies, spans.consumers, strict=True))

    @pytest.mark.parametrize("turn", ["poll", "close"])
    def test_until_the_program_turns_away(
        self, three: list[Any], consumer: Consumers, spans: Recorded, turn: str
    ) -> None:
        """The record's span does not stay active."""
        found = consumer()
        next(found)
        assert not nothing_current()
        getattr(found, turn)()
        assert nothing_current()
        assert len([span for span in spans.consumers if span.name.startswith("process")]) == 1

    @pytest.mark.parametrize("turn", ["commit", "commit_async"])
    def test_until_it_is_committed(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded, turn: str
    ) -> None:
        found = consumer(group_id=topic, enable_auto_commit=False, timeout=60_000)
        next(found)
        getattr(found, turn)()
        assert nothing_current()
        assert len(spans.consumers) == 1

    def test_until_its_thread_ends(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        found = consumer()
        thread = threading.Thread(target=next, args=(found,))
        thread.start()
        thread.join()
        assert len(spans.consumers) == 1

    def test_what_the_library_raises_passes(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        """next() of a closed consumer."""
        found = consumer()
        found.close()
        expected = _outcome(lambda: getattr(KafkaConsumer.__next__, MARK)(found))
        assert expected[0] is StopIteration
        assert _outcome(lambda: next(found)) == expected


class TestPoll:
    def test_each_record_of_a_list_is_current_in_turn(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        """Other agents give every record the context of the last one, or of none."""
        found = consumer()
        seen = 0
        while seen < 3:
            records = found.poll(200)
            assert type(records) is dict
            for partition, each in records.items():
                assert partition == TopicPartition(topic, 0)
                for record in each:
                    assert is_child(trace.get_current_span(), three[record.offset])
                    own_work(f"body {record.offset}")
                    seen += 1
                assert nothing_current()
        del records, each
        for processed in spans.consumers:
            assert processed.name == f"process {topic}"
            (work,) = [span for span in spans if span.name == f"body {tags(processed)['offset']}"]
            assert is_child(work, processed)
        assert len(spans.consumers) == 3

    def test_lists_are_lists(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        records = polled(consumer())
        plain = list(records)
        assert isinstance(records, list)
        assert records == plain
        assert pickle.loads(pickle.dumps(records)) == plain
        assert type(records[0]) is ConsumerRecord
        assert type(records[:1]) is list

    def test_an_exception_in_the_body_is_the_records_failure(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        """The record's span does not stay active."""
        with pytest.raises(LookupError):
            for record in polled(consumer()):
                raise LookupError(str(record.offset))
        assert nothing_current()
        failed = [span for span in spans.consumers if span.failure is not None]
        assert [span.failure.message for span in failed if span.failure] == ["0"]

    def test_records_that_are_not_iterated_share_one_span(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        records = polled(consumer())
        total = len(records)
        assert records[0].value == b"0"
        del records
        (received,) = spans.consumers
        assert received.name == f"receive {topic}"
        assert tags(received)["messaging.batch.message_count"] == total
        assert is_child(received, three[0])
        assert [link.span_id for link in received.links or ()] == [sent.span_id for sent in three[:total]]

    def test_their_span_ends_when_more_is_asked_for(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer()
        records = polled(found)
        before = time.time_ns()
        found.poll(300, max_records=1)
        del records
        assert spans.consumers[0].end_time is not None
        assert spans.consumers[0].end_time < before + 100_000_000
        found.close()

    def test_close_tells_of_records_that_are_still_held(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer()
        records = polled(found)
        found.close()
        assert len(spans.consumers) == 1
        assert len(records) >= 1

    def test_an_empty_poll_makes_no_span(self, consumer: Consumers, spans: Recorded) -> None:
        """Nothing was received."""
        found = consumer()
        for _ in range(3):
            assert found.poll(10) == {}
        assert spans == []

    @pytest.mark.parametrize("arguments", [(-5,), (0, -1), (0, "x")])
    def test_what_the_library_raises_passes(
        self, consumer: Consumers, spans: Recorded, arguments: tuple[Any, ...]
    ) -> None:
        """poll(-5), which some agents swallow."""
        found = consumer()
        expected = _outcome(lambda: getattr(KafkaConsumer.poll, MARK)(found, *arguments))
        assert issubclass(expected[0], Exception)
        assert _outcome(lambda: found.poll(*arguments)) == expected

    @pytest.mark.parametrize("named", [True, False])
    def test_the_iterators_inner_poll_is_not_the_programs(
        self, three: list[Any], consumer: Consumers, spans: Recorded, named: bool
    ) -> None:
        found = consumer()
        records = polled(found, 200, update_offsets=False) if named else polled(found, 200, None, False)
        assert type(records) is list
        assert spans.consumers == []


def span_id_in_the_process(number: int) -> int:
    """Work for another process: the span that is current there."""
    return trace.get_current_span().get_span_context().span_id


class TestHandedOver:
    """Work that a loop hands to others stays in its record's trace."""

    def test_a_registry_of_handlers(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        handlers: dict[str, list[Callable[[Any], Any]]] = {}

        def on_message(topic: str) -> Any:
            return lambda handler: handlers.setdefault(topic, []).append(handler)

        found = consumer()
        (partition,) = found.assignment()

        @on_message(partition.topic)
        def handle(record: Any) -> None:
            own_work(f"handled {record.offset}")

        for record in found:
            for each in handlers[record.topic]:
                each(record)
        for processed in spans.consumers:
            (work,) = [span for span in spans if span.name == f"handled {tags(processed)['offset']}"]
            assert is_child(work, processed)

    def test_work_for_another_process(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        spawning = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(1, spawning) as pool:
            futures = [pool.submit(span_id_in_the_process, record.offset) for record in consumer()]
            assert [future.result() for future in futures] == [span.span_id for span in spans.consumers]
            assert pool.submit(span_id_in_the_process, 0).result() == 0

    def test_tasks_and_executors_of_a_loop(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        """A program of coroutines that polls in between, and works on its records later."""

        async def later(name: str, *, go: asyncio.Event) -> None:
            await go.wait()
            own_work(name)

        async def main() -> None:
            found, go, tasks, seen = consumer(), asyncio.Event(), [], 0
            run = asyncio.get_running_loop().run_in_executor
            while seen < 3:
                for records in found.poll(200).values():
                    for record in records:
                        seen += 1
                        tasks.append(asyncio.create_task(later(f"task {record.offset}", go=go)))
                        await run(None, own_work, f"executor {record.offset}")
            assert nothing_current()
            go.set()
            await asyncio.gather(*tasks)

        asyncio.run(main())
        for processed in spans.consumers:
            for kind in ("task", "executor"):
                (work,) = [span for span in spans if span.name == f"{kind} {tags(processed)['offset']}"]
                assert is_child(work, processed)


class TestSettings:
    @pytest.fixture
    def configured(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        def configure(excluded: tuple[str, ...], commits: bool) -> None:
            monkeypatch.setattr(topics, "_excluded", any_of(excluded))
            monkeypatch.setattr(topics, "commits", commits)

        return configure

    def test_a_topic_that_is_excluded_is_left_alone(
        self, topic: str, producer: KafkaProducer, consumer: Consumers, spans: Recorded, configured: Any
    ) -> None:
        configured(("other", "topic-*"), False)
        stale = [("b3", b"kept"), ("mine", b"1")]
        producer.send(topic, b"1", headers=stale).get(30)
        for record in consumer():
            assert nothing_current()
            assert record.headers == stale
        for _ in polled(consumer()):
            assert nothing_current()
        assert polled(consumer())[0].headers == stale
        assert spans == []

    def test_others_are_traced(
        self, topic: str, producer: KafkaProducer, consumer: Consumers, spans: Recorded, configured: Any
    ) -> None:
        configured(("TOPIC-*", "topic"), False)
        producer.send(topic, b"1").get(30)
        assert len(list(consumer())) == 1
        assert len(spans) == 2

    @pytest.mark.parametrize("asked", [True, False])
    def test_a_commit_is_told_where_it_waits_and_is_asked_for(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded, configured: Any, asked: bool
    ) -> None:
        configured((), asked)
        found = consumer(group_id=topic, enable_auto_commit=False, timeout=60_000)
        next(found)
        found.commit_async()
        found.commit()
        assert [span.name for span in spans.clients] == (["commit"] if asked else [])
        if asked:
            assert tags(spans.clients[0])["messaging.consumer.group.name"] == topic
            assert "message_bus.destination" not in tags(spans.clients[0])

    def test_the_lag_is_told_where_the_client_knows_it(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        list(consumer())
        assert [tags(span)["kafka.lag"] for span in spans.consumers] == [2, 1, 0]


class TestPatch:
    def test_twice_is_once(self) -> None:
        for module, function in (("kafka.producer.kafka", patch.producer), ("kafka.consumer.group", patch.consumer)):
            plan = Plan()
            function(sys.modules[module], plan)
            plan.apply()
            assert plan._undo == []

    @pytest.mark.parametrize(
        ("lacking", "function", "namespace"),
        [
            ("poll", patch.consumer, "KafkaConsumer"),
            ("commit_async", patch.consumer, "KafkaConsumer"),
            ("send", patch.producer, "KafkaProducer"),
            ("add_callback", patch.producer, "FutureRecordMetadata"),
        ],
    )
    def test_a_library_that_lacks_something_is_refused_whole(self, lacking: str, function: Any, namespace: str) -> None:
        def method(
            self: Any, topic: Any = None, key: Any = None, headers: Any = None, update_offsets: Any = None
        ) -> None:
            pass

        names = {
            "__next__",
            "__iter__",
            "poll",
            "commit",
            "commit_async",
            "close",
            "send",
            "add_callback",
            "add_errback",
        }
        parts = {}
        for part in ("KafkaProducer", "KafkaConsumer", "FutureRecordMetadata"):
            kept = names - {lacking} if part == namespace else names
            parts[part] = type(part, (), dict.fromkeys(kept, method))
        module = types.SimpleNamespace(**parts)
        plan = Plan()
        with pytest.raises(Unpatchable, match=lacking):
            function(module, plan)
        assert plan._undo == []
        assert all(vars(part).get(name, method) is method for part in parts.values() for name in names)

    def test_a_send_without_headers_is_refused(self) -> None:
        def send(self: Any, topic: Any, key: Any = None) -> None:
            pass

        parts = {
            "KafkaProducer": type("KafkaProducer", (), {"send": send}),
            "FutureRecordMetadata": FutureRecordMetadata,
        }
        with pytest.raises(Unpatchable, match="headers"):
            patch.producer(types.SimpleNamespace(**parts), Plan())

    @pytest.mark.parametrize(
        "statement", ["from kafka import KafkaProducer", "from kafka.producer import KafkaProducer"]
    )
    def test_imported_before_we_are_it_is_traced_all_the_same(self, statement: str) -> None:
        """The methods are replaced on the class: whoever has the class has them."""
        program = (
            f"{statement}\nimport autotrace.activation\nautotrace.activation.activate()\n"
            "print(hasattr(KafkaProducer.send, '__autotrace_original__'))"
        )
        environment = {**os.environ, "AUTOTRACE_EXPORTER": "none"}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert (done.stdout.strip(), done.stderr) == ("True", "")

    def test_signatures_stay(self) -> None:
        import inspect

        for function in (SEND, KafkaConsumer.poll, KafkaConsumer.__next__, KafkaConsumer.close):
            assert inspect.signature(function) == inspect.signature(getattr(function, MARK))
            assert function.__doc__ == getattr(function, MARK).__doc__

    @pytest.mark.parametrize(
        ("owner", "step"),
        [
            (patch, "_client"),
            (patch, "_partition_state"),
            (attribute_records, "facts"),
            (attribute_records, "short_key"),
            (ConsumerState, "wrap_list"),
            (ConsumerState, "_leave_lists"),
        ],
    )
    def test_a_failure_of_ours_in_a_loop_or_a_poll(
        self,
        topic: str,
        producer: KafkaProducer,
        consumer: Consumers,
        monkeypatch: pytest.MonkeyPatch,
        owner: Any,
        step: str,
    ) -> None:
        producer.send(topic, b"v").get(30)

        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a defect of ours")

        monkeypatch.setattr(owner, step, fails)
        assert [record.value for record in consumer()] == [b"v"]
        assert [record.value for record in polled(consumer())] == [b"v"]
        assert nothing_current()
        containment.failures.clear()

    def test_a_failure_of_ours_when_the_broker_answers(
        self, topic: str, broker: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with contextlib.closing(KafkaProducer(bootstrap_servers=broker, linger_ms=60_000)) as slow:
            future = slow.send(topic, b"v")
            monkeypatch.setattr(patch.Acknowledgement, "context", property(lambda self: 1 / 0), raising=False)
            seen: list[Any] = []
            future.add_callback(seen.append)
            slow.flush()
            metadata = future.get(30)
        assert metadata.offset == 0
        assert seen == [metadata]
        containment.failures.clear()


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("kafka:9093", ("kafka", 9093)),
        ("kafka", ("kafka", 9092)),
        ("a:1,b:2", ("a", 1)),
        (["a:1", "b:2"], ("a", 1)),
        (("a", "b:2"), ("a", 9092)),
        ("[::1]:9093", ("::1", 9093)),
        ("::1", ("::1", 9092)),
        ("SASL_SSL://my-kafka.svc:9094", ("my-kafka.svc", 9094)),
    ],
)
def test_the_first_bootstrap_server(servers: Any, expected: tuple[str, int]) -> None:
    assert first_server(servers) == expected
    assert peer._address(expected)


def test_a_long_key_is_not_kept() -> None:
    assert short_key(b"k" * 64) == b"k" * 64
    assert short_key(b"k" * 65) is short_key({"a": 1}) is short_key(None) is short_key(5) is None


@pytest.mark.parametrize(("ago", "known"), [(0, True), (1000, True), (-60_000, False), (20 * 365 * 86_400_000, False)])
def test_the_age_of_a_record_is_told_where_it_is_sane(ago: int, known: bool) -> None:
    """librdkafka's mock stamps all records 1234; clocks differ."""
    now = time.time_ns() // 1_000_000
    record = types.SimpleNamespace(topic="t", partition=0, offset=0, key=None, timestamp=now - ago)
    assert (attribute_records.facts(record)["age"] is not None) is known
    record.timestamp = None
    assert attribute_records.facts(record)["age"] is None


def test_the_tracer_reads_what_it_writes() -> None:
    assert propagate.extract_kafka([("traceparent", b"00-" + b"a" * 32 + b"-" + b"1" * 16 + b"-01")]) is not None
