"""confluent-kafka against a real broker: what other agents get wrong, and that the program sees nothing of us.

Run with another version in front of the path (KAFKA_BOOTSTRAP_SERVERS is then its broker), it holds for that one too.
"""

from __future__ import annotations

import copy
import gc
import inspect
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import (
    Consumer,
    DeserializingConsumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    SerializingProducer,
    TopicPartition,
)
from opentelemetry import trace

import autotrace
from autotrace import registry
from autotrace.messaging import consumer_span, method_messages, producing
from autotrace.messaging.client_slot import SLOT
from autotrace.messaging.delivery_reports import PendingDeliveries
from autotrace.patches import confluent_kafka as patch
from autotrace.patching import Plan, Unpatchable
from autotrace.semantics.kafka import age, first_server, short_key
from autotrace.tracing import new_span
from tests.contracts.messaging import MessagingPromises, own_work
from tests.recorded import Recorded, is_child, nothing_current, tags

BareProducer: Any = Producer.__base__
BareConsumer: Any = Consumer.__base__
needs_batches = pytest.mark.skipif(not hasattr(Producer, "produce_batch"), reason="this version has no produce_batch()")
needs_producer_close = pytest.mark.skipif(
    not hasattr(Producer, "close"), reason="this version's Producer has no close()"
)
_numbers = count()
TRIES = 600
"""Of a fifth of a second: a busy machine decides no test."""


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or request.getfixturevalue("kafka").bootstrap_servers


@pytest.fixture
def topic() -> str:
    return f"topic-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


@pytest.fixture(scope="module")
def producer(broker: str) -> Producer:
    return Producer({"bootstrap.servers": broker})


@pytest.fixture(scope="module")
def untraced(broker: str) -> Any:
    return BareProducer({"bootstrap.servers": broker})


def from_the_start(found: Any, topic: str) -> Any:
    found.assign([TopicPartition(topic, 0, 0)])
    return found


@pytest.fixture
def consumer(broker: str, topic: str) -> Callable[..., Any]:
    """consumer(kind, **config): of the test's topic from its beginning. Nobody else holds it."""

    def make(kind: Any = Consumer, **config: Any) -> Any:
        return from_the_start(kind({"bootstrap.servers": broker, "group.id": topic, **config}), topic)

    return make


Consumers = Callable[..., Any]


def polled(found: Any) -> Any:
    """The first message that poll() gives."""
    for _ in range(TRIES):
        message = found.poll(0.2)
        if message is not None and message.error() is None:
            return message
    raise AssertionError("no message came")


def consumed(found: Any, number: int) -> Any:
    """The first list with messages in it."""
    for _ in range(TRIES):
        messages = found.consume(number, 0.5)
        if messages and messages[0].error() is None:
            return messages
    raise AssertionError("no message came")


def sent(client: Any, *arguments: Any, **named: Any) -> None:
    client.produce(*arguments, **named)
    assert client.flush(30) == 0


class Client:
    """The contract's client: a topic, and how the program takes messages from it."""

    def __init__(self, topic: str, producer: Any, untraced: Any, loop: Callable[[], Iterable[Any]]) -> None:
        self.topic = topic
        self.producer = producer
        self.untraced = untraced
        self.loop = loop
        self.sent = 0

    def send(self, value: bytes, headers: Any = None) -> None:
        self.sent += 1
        sent(self.producer, self.topic, value, headers=headers)

    def send_untraced(self, value: bytes, headers: Any) -> None:
        self.sent += 1
        sent(self.untraced, self.topic, value, headers=headers)

    def value(self, record: Any) -> Any:
        return record.value()

    def headers(self, record: Any) -> Any:
        return record.headers() or []

    def expects(self, seen: int, idle_since: float) -> bool:
        """Is a loop that has given `seen` messages to go on? Messages that were sent may be late."""
        return time.monotonic() < idle_since + (0.7 if seen >= self.sent else 0.2 * TRIES)


class TestConsumeLoop(MessagingPromises):
    @pytest.fixture
    def client(self, topic: str, producer: Any, untraced: Any, consumer: Consumers) -> Any:
        def loop() -> Iterator[Any]:
            found, seen, idle_since = consumer(), 0, time.monotonic()
            while client.expects(seen, idle_since):
                for message in found.consume(1, 0.1):
                    if message.error() is None:
                        seen += 1
                        yield message
                        idle_since = time.monotonic()

        client = Client(topic, producer, untraced, loop)
        return client


class TestPollLoop(MessagingPromises):
    """The same promises to a program that polls; of a failure only close() can tell, where it stands in `finally`."""

    @pytest.fixture
    def client(self, topic: str, producer: Any, untraced: Any, consumer: Consumers) -> Any:
        def loop() -> Iterator[Any]:
            found, seen, idle_since = consumer(), 0, time.monotonic()
            while client.expects(seen, idle_since):
                message = found.poll(0.1)
                if message is not None and message.error() is None:
                    seen += 1
                    yield message
                    idle_since = time.monotonic()

        client = Client(topic, producer, untraced, loop)
        return client

    @pytest.fixture
    def found(self, client: Any, consumer: Consumers, spans: Recorded) -> Any:
        client.send(b"1")
        return consumer()

    @pytest.mark.parametrize("handled", [False, True])
    def test_an_exception_in_the_body_is_the_records_failure(self, found: Any, spans: Recorded, handled: bool) -> None:  # type: ignore[override]
        """The span does not stay active, whether or not the program handles the exception."""

        def work() -> None:
            try:
                polled(found)
                raise LookupError("no such order")
            except LookupError:
                if not handled:
                    raise
            finally:
                found.close()

        if handled:
            work()
        else:
            with pytest.raises(LookupError):
                work()
        assert nothing_current()
        (processed,) = spans.consumers
        assert ("error" in tags(processed)) is not handled
        assert handled or (processed.failure is not None and processed.failure.message == "no such order")

    def test_a_generator_that_is_left_closes_its_record(self, client: Any, spans: Recorded) -> None:
        client.send(b"1")
        with pytest.raises(LookupError):
            for _ in client.loop():
                raise LookupError("outside of the generator")
        gc.collect()
        assert nothing_current()
        assert len(spans.consumers) == 1


@pytest.fixture
def three(topic: str, producer: Any, spans: Recorded) -> list[Any]:
    """The producer spans of three messages in the topic."""
    for number in range(3):
        sent(producer, topic, b"%d" % number)
    return spans.producers


def headers_of(consumer: Consumers) -> Any:
    return polled(consumer(BareConsumer)).headers()


class TestProduce:
    @pytest.mark.parametrize(
        "headers",
        [None, [], {}, [("mine", b"1"), ("mine", "2"), ("none", None)], {"mine": b"1", "none": None}],
        ids=["none", "empty list", "empty dict", "list", "dict"],
    )
    @pytest.mark.parametrize("positional", [True, False])
    def test_headers_in_every_form(
        self, topic: str, producer: Any, consumer: Consumers, spans: Recorded, headers: Any, positional: bool
    ) -> None:
        """Positional, by keyword, or None; a dict or a list, which makes other agents raise TypeError."""
        before = copy.copy(headers)
        if positional:
            sent(producer, topic, b"v", b"k", 0, None, None, 1_700_000_000_000, headers)
        else:
            sent(producer, topic=topic, value=b"v", key=b"k", partition=0, headers=headers)
        assert headers == before
        found = headers_of(consumer)
        theirs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        assert found[: len(theirs)] == [
            (name, value.encode() if isinstance(value, str) else value) for name, value in theirs
        ]
        assert dict(found)["X-B3-TraceId"] == b"%032x" % spans.one().trace_id
        assert tags(spans.one())["messaging.kafka.message.key"] == "k"

    def test_old_trace_headers_are_replaced(
        self, topic: str, producer: Any, consumer: Consumers, spans: Recorded
    ) -> None:
        """A relayed message holds one trace context: the new one."""
        old = {"traceparent": b"00-" + b"a" * 32 + b"-" + b"1" * 16 + b"-01", "x-b3-traceid": b"b" * 32}
        sent(producer, topic, b"v", headers=old)
        found = headers_of(consumer)
        assert len({name.lower() for name, _ in found}) == len(found)
        assert dict(found)["X-B3-SpanId"] == b"%016x" % spans.one().span_id

    @pytest.mark.parametrize("form", ["bytes", "text", "key", "headers"])
    def test_a_message_that_just_fits_is_sent_without_our_headers(
        self, topic: str, broker: str, consumer: Consumers, spans: Recorded, form: str
    ) -> None:
        large = 10_000 - 36
        small = Producer({"bootstrap.servers": broker, "message.max.bytes": 10_000})
        if form == "headers":
            sent(small, topic, b"v", headers=[("h", b"x" * (large - 20))])
        elif form == "key":
            sent(small, topic, key=b"x" * large)
        else:
            sent(small, topic, b"x" * large if form == "bytes" else "\N{EURO SIGN}" * (large // 3))
        assert "error" not in tags(spans.one())
        names = [name for name, _ in polled(consumer()).headers() or ()]
        assert names == (["h"] if form == "headers" else [])

    def test_a_message_that_is_too_large_is_refused_as_without_us(self, topic: str, spans: Recorded) -> None:
        small = Producer({"bootstrap.servers": "localhost:1", "message.max.bytes": "10000"})
        with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
            small.produce(topic, b"x" * 10_000)

    @pytest.mark.parametrize("kind", [list, dict])
    def test_headers_of_a_class_of_the_programs(
        self, topic: str, producer: Any, consumer: Consumers, spans: Recorded, kind: Any
    ) -> None:
        """The library reads the storage of a list or a dict, and asks no method of theirs."""

        class Headers(kind):  # type: ignore[misc]
            def __iter__(self) -> Any:
                raise RuntimeError("never called")

            items = __iter__

        sent(producer, topic, b"v", headers=Headers([("mine", b"1")]))
        assert headers_of(consumer)[0] == ("mine", b"1")
        assert "error" not in tags(spans.one())

    def test_the_span_ends_with_the_delivery_report(self, topic: str, producer: Any, spans: Recorded) -> None:
        """Not when produce() returns."""
        assert producer.produce(topic, b"v") is None
        assert spans == []
        assert nothing_current()
        producer.flush(30)
        found = tags(spans.one())
        assert (found["offset"], found["messaging.destination.partition.id"]) == (0, "0")
        assert "kafka.delivery" not in found

    def test_flush_poll_and_len_return_what_they_would(self, topic: str, broker: str, spans: Recorded) -> None:
        outcomes = []
        for kind in (Producer, BareProducer):
            made = kind({"bootstrap.servers": broker, "linger.ms": 60_000})
            made.produce(topic, b"v")
            outcomes.append(
                (len(made), bool(made), made.poll(0), made.flush(0), made.flush(30), made.poll(0), len(made))
            )
        assert outcomes[0] == outcomes[1]

    @pytest.mark.parametrize("form", ["callback", "on_delivery", "positional", "configured", "configured by keyword"])
    def test_the_programs_report_runs_with_the_producer_current(
        self, topic: str, broker: str, spans: Recorded, form: str
    ) -> None:
        seen: list[Any] = []

        def report(error: Any, message: Any) -> None:
            own_work("report")
            seen.append((error, type(message), message.topic(), message.offset()))

        config: dict[str, Any] = {"bootstrap.servers": broker}
        if form == "configured":
            made = Producer({**config, "on_delivery": report})
        elif form == "configured by keyword":
            made = Producer(config, on_delivery=report)
        else:
            made = Producer(config)
        with trace.get_tracer("program").start_as_current_span("outer"):
            if form == "positional":
                made.produce(topic, b"v", None, -1, report)
            elif form.startswith("configured"):
                made.produce(topic, b"v")
            else:
                made.produce(topic, b"v", **{form: report})
        made.flush(30)
        assert seen == [(None, Message, topic, 0)]
        (producer_span,) = spans.producers
        (work,) = [span for span in spans if span.name == "report"]
        assert is_child(work, producer_span)
        assert nothing_current()

    @pytest.mark.parametrize(
        "given", [{"callback": None, "on_delivery": 1}, {"on_delivery": 1}, {"callback": 2, "on_delivery": 1}, {}]
    )
    def test_which_report_counts_is_the_librarys_decision(
        self, topic: str, broker: str, spans: Recorded, given: dict[str, Any]
    ) -> None:
        outcomes = []
        for kind in (Producer, BareProducer):
            called: list[Any] = []
            named = {
                name: None if value is None else (lambda *_, called=called, value=value: called.append(value))
                for name, value in given.items()
            }
            made = kind({"bootstrap.servers": broker, "on_delivery": lambda *_, called=called: called.append(0)})
            sent(made, topic, b"v", **named)
            outcomes.append(called)
        assert outcomes[0] == outcomes[1]
        assert len(outcomes[0]) == 1

    def test_a_report_that_raises_raises_out_of_flush(self, topic: str, broker: str, spans: Recorded) -> None:
        def report(error: Any, message: Any) -> None:
            raise LookupError("the program's own")

        made = Producer({"bootstrap.servers": broker})
        made.produce(topic, b"v", on_delivery=report)
        with pytest.raises(LookupError, match="the program's own"):
            made.flush(30)
        del (
            made
        )  # the library never drops that exception, nor this frame, in which the producer would outlive the broker
        assert tags(spans.one())["offset"] == 0
        assert "error" not in tags(spans.one())

    def test_a_report_may_produce(self, topic: str, broker: str, spans: Recorded) -> None:
        made = Producer({"bootstrap.servers": broker})
        made.produce(topic, b"1", on_delivery=lambda *_: made.produce(topic, b"2"))
        while made.flush(30):
            pass
        first, second = spans.producers
        assert is_child(second, first)

    def test_a_delivery_that_fails_is_the_spans_failure(self, topic: str, spans: Recorded) -> None:
        """The broker is gone, which produce() does not see."""
        seen: list[Any] = []
        lost = Producer({"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 200, "log_level": 0})
        lost.produce(topic, b"v", on_delivery=lambda error, message: seen.append(error))
        assert lost.flush(30) == 0
        assert [error.code() for error in seen] == [KafkaError._MSG_TIMED_OUT]
        found = spans.one()
        assert tags(found)["error.type"].endswith("KafkaException")
        assert found.failure is not None
        assert "_MSG_TIMED_OUT" in found.failure.message
        assert "messaging.kafka.offset" not in tags(found)

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ((), {}),
            (("t", {"not": "bytes"}), {}),
            ((5, b"v"), {}),
            (("t", b"v"), {"headers": (("a", b"b"),)}),
            (("t", b"v"), {"headers": [("a", 5)]}),
            (("t", b"v"), {"headers": ["a"]}),
            (("t", b"v"), {"headers": {"a": 5}}),
            (("t", b"v"), {"nothing": 1}),
            (("t", b"v" * 2_000_000), {}),
            ((None, b"v"), {}),
        ],
    )
    def test_what_the_library_raises_passes_and_is_told(
        self, broker: str, spans: Recorded, arguments: Any, named: Any
    ) -> None:
        """Errors of the library reach the program, and are on the span."""
        ours, bare = (kind({"bootstrap.servers": broker}) for kind in (Producer, BareProducer))
        expected = outcome(lambda: bare.produce(*arguments, **named))
        assert issubclass(expected[0], Exception)
        assert outcome(lambda: ours.produce(*arguments, **named)) == expected
        assert spans.one().failure is not None
        assert nothing_current()

    def test_a_full_queue_is_told(self, topic: str, spans: Recorded) -> None:
        config = {"bootstrap.servers": "127.0.0.1:1", "queue.buffering.max.messages": 1, "log_level": 0}
        full = Producer(config)
        full.produce(topic, b"1")
        with pytest.raises(BufferError):
            full.produce(topic, b"2")
        assert tags(spans.one())["error.type"] == "BufferError"
        del full
        assert len(spans) == 2

    def test_without_acknowledgement_no_offset_is_told(self, topic: str, broker: str, spans: Recorded) -> None:
        """An unknown offset is no tag, never -1 or -1001."""
        sent(Producer({"bootstrap.servers": broker, "acks": 0}), topic, b"v")
        assert "messaging.kafka.offset" not in tags(spans.one())

    def test_reports_of_errors_only(self, topic: str, broker: str, spans: Recorded) -> None:
        """The library then tells nobody of a success, and the program's own report stays uncalled."""
        seen: list[Any] = []
        made = Producer({"bootstrap.servers": broker, "delivery.report.only.error": True})
        sent(made, topic, b"v", on_delivery=lambda *_: seen.append(1))
        assert seen == []
        assert "error" not in tags(spans.one())

    def test_a_producer_that_is_dropped_says_that_nothing_was_reported(
        self, topic: str, broker: str, spans: Recorded
    ) -> None:
        forgetful = Producer({"bootstrap.servers": broker})
        forgetful.produce(topic, b"v", on_delivery=lambda *_: own_work("never"))
        assert spans == []
        del forgetful
        assert tags(spans.one())["kafka.delivery"] == "unknown"

    @needs_producer_close
    def test_close_waits_for_the_reports(self, topic: str, broker: str, spans: Recorded) -> None:
        made = Producer({"bootstrap.servers": broker})
        made.produce(topic, b"v")
        assert made.close() is True
        assert tags(spans.one())["offset"] == 0
        with Producer({"bootstrap.servers": broker}) as other:
            other.produce(topic, b"v")
        assert tags(spans[1])["offset"] == 1

    def test_purged_messages_are_failures(self, topic: str, broker: str, spans: Recorded) -> None:
        made = Producer({"bootstrap.servers": broker, "linger.ms": 60_000})
        made.produce(topic, b"v")
        made.purge()
        made.flush(30)
        found = spans.one()
        assert found.failure is not None
        assert "_PURGE" in found.failure.message

    def test_the_peer_is_the_first_configured_server(self, topic: str, broker: str, spans: Recorded) -> None:
        """Kiali wants the host as configured, not the broker that answered."""
        port = broker.rpartition(":")[2]
        sent(Producer({"bootstrap.servers": f"localhost:{port},{broker}", "client.id": "shop"}), topic, b"v")
        found = tags(spans.one())
        assert (found["peer.hostname"], found["peer.address"]) == ("localhost", f"localhost:{port}")
        assert found["messaging.client.id"] == "shop"

    def test_a_serializing_producer_sends_once(
        self, topic: str, broker: str, consumer: Consumers, spans: Recorded
    ) -> None:
        """Its produce() calls the plain producer's: one span, not two and not none."""

        def serialize(value: Any, context: Any) -> bytes:
            own_work("serialize")
            return repr(value).encode()

        made = SerializingProducer({"bootstrap.servers": broker, "value.serializer": serialize})
        sent(made, topic, key="k", value={"a": 1}, headers={"mine": b"1"})
        (producer_span,) = spans.producers
        message = polled(consumer(BareConsumer))
        assert message.value() == b"{'a': 1}"
        assert dict(message.headers())["X-B3-SpanId"] == b"%016x" % producer_span.span_id
        assert tags(producer_span)["messaging.kafka.message.key"] == "k"

    def test_a_subclass_sends_once(self, topic: str, broker: str, spans: Recorded) -> None:
        class Mine(Producer):  # type: ignore[misc]
            def __init__(self, *arguments: Any, **named: Any) -> None:
                super().__init__(*arguments, **named)
                self.sent = 0

            def produce(self, topic: str, value: Any = None, **named: Any) -> Any:
                self.sent += 1
                return super().produce(topic, value.encode(), **named)

        mine = Mine({"bootstrap.servers": broker})
        sent(mine, topic, "v")
        assert (len(spans), mine.sent) == (1, 1)

    def test_not_sampled_it_still_carries_the_decision(
        self, topic: str, broker: str, consumer: Consumers, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(new_span, "decide", lambda trace_id: False)
        made = Producer({"bootstrap.servers": broker})
        sent(made, topic, b"v")
        sent(made, topic, b"v", on_delivery=lambda *_: own_work("report"))
        assert dict(headers_of(consumer))["X-B3-Sampled"] == b"0"
        assert spans == []


def outcome(call: Callable[[], Any]) -> tuple[Any, str]:
    """(exception type or None, its text) of a call."""
    try:
        call()
    except Exception as error:
        return type(error), str(error)
    return None, ""


@needs_batches
class TestProduceBatch:
    def test_one_span_that_ends_with_the_last_report(self, topic: str, broker: str, spans: Recorded) -> None:
        made = Producer({"bootstrap.servers": broker})
        seen: list[Any] = []

        def report(error: Any, message: Any) -> None:
            own_work("report")
            seen.append(message.value())

        messages = [{"value": b"1"}, {"value": b"2", "key": b"k", "callback": report}]
        before = [dict(message) for message in messages]
        assert made.produce_batch(topic, messages, on_delivery=report) == 2
        assert messages == before
        assert spans.producers == []
        made.flush(30)
        (batch,) = spans.producers
        assert seen == [b"1", b"2"]
        assert tags(batch)["messaging.batch.message_count"] == 2
        assert all(is_child(span, batch) for span in spans if span.name == "report")

    def test_a_message_that_is_refused_is_told_to_the_caller_and_the_span(
        self, topic: str, broker: str, spans: Recorded
    ) -> None:
        results = []
        for kind in (Producer, BareProducer):
            messages: list[Any] = [{"value": b"1"}, {"value": b"x" * 2_000_000}]
            made = kind({"bootstrap.servers": broker})
            results.append((made.produce_batch(topic, messages), [sorted(message) for message in messages]))
            assert messages[1]["_error"].code() == KafkaError.MSG_SIZE_TOO_LARGE
            made.flush(30)
        assert results[0] == results[1]
        assert spans.one().failure is not None

    @pytest.mark.parametrize("messages", [(), [], [5], [{"value": 5}], [{"value": b"1", "timestamp": 5}], None, [{}]])
    def test_wrong_calls_fail_as_they_would(self, topic: str, broker: str, spans: Recorded, messages: Any) -> None:
        outcomes = []
        for kind in (Producer, BareProducer):
            made = kind({"bootstrap.servers": broker})
            outcomes.append(outcome(lambda made=made: made.produce_batch(topic, messages)))
            made.flush(30)
        assert outcomes[0] == outcomes[1]
        assert all((span.failure is not None) is (outcomes[0][0] is not None) for span in spans)

    def test_no_report_at_all(self, topic: str, broker: str, spans: Recorded) -> None:
        forgetful = Producer({"bootstrap.servers": broker})
        forgetful.produce_batch(topic, [{"value": b"1"}])
        del forgetful
        assert tags(spans.one())["kafka.delivery"] == "unknown"


class TestPoll:
    def test_a_message_is_current_until_the_next_poll(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        """Other agents lose the trace when poll() returns."""
        found = consumer()
        for number, producer_span in enumerate(three):
            message = polled(found)
            assert type(message) is Message
            assert is_child(trace.get_current_span(), producer_span)
            own_work(f"body {number}")
        assert found.poll(0.3) is None
        assert nothing_current()
        for number, processed in enumerate(spans.consumers):
            (work,) = [span for span in spans if span.name == f"body {number}"]
            assert is_child(work, processed)
            assert tags(processed)["messaging.consumer.group.name"] == topic
            assert tags(processed)["kafka.lag"] == 2 - number
        assert len(spans.consumers) == 3

    @pytest.mark.parametrize("turn", ["close", "unsubscribe", "commit", "consume", "__exit__"])
    def test_until_the_program_turns_away(
        self, three: list[Any], consumer: Consumers, spans: Recorded, turn: str
    ) -> None:
        """The message's span does not stay active."""
        found = consumer()
        if not hasattr(found, turn):
            pytest.skip("this version's Consumer is no context manager")
        polled(found)
        assert not nothing_current()
        arguments: dict[str, tuple[Any, ...]] = {"consume": (1, 0), "__exit__": (None, None, None)}
        getattr(found, turn)(*arguments.get(turn, ()))
        assert nothing_current()
        assert tags(spans.consumers[0])["offset"] == 0

    def test_until_the_consumer_is_dropped(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        found = consumer()
        polled(found)
        del found
        assert nothing_current()
        assert len(spans.consumers) == 1

    def test_until_its_thread_ends(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        found = consumer()
        thread = threading.Thread(target=polled, args=(found,))
        thread.start()
        thread.join()
        assert len(spans.consumers) == 1

    def test_an_empty_poll_makes_no_span(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        """Nothing was received."""
        found = consumer()
        found.assign([TopicPartition(found.assignment()[0].topic, 0, confluent_kafka.OFFSET_END)])
        for _ in range(3):
            assert found.poll(0.1) is None
        assert found.consume(5, 0.1) == []
        assert spans.consumers == []

    def test_a_message_with_an_error_makes_no_span(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer(**{"enable.partition.eof": True})
        while True:
            message = found.poll(1)
            if message is not None and message.error() is not None:
                break
        assert message.error().code() == KafkaError._PARTITION_EOF
        assert nothing_current()
        assert len(spans.consumers) == 3

    def test_what_the_library_raises_passes(self, consumer: Consumers, spans: Recorded) -> None:
        """Errors of the library reach the program."""
        ours, bare = consumer(), consumer(BareConsumer)
        assert outcome(lambda: ours.poll("x")) == outcome(lambda: bare.poll("x"))
        assert outcome(lambda: ours.consume(2_000_000)) == outcome(lambda: bare.consume(2_000_000))
        for found in (ours, bare):
            found.close()
        expected = outcome(bare.poll)
        assert expected[0] is RuntimeError
        assert outcome(ours.poll) == expected
        assert outcome(ours.consume) == expected
        assert outcome(ours.close) == outcome(bare.close)

    def test_a_deserializing_consumer(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        """Its poll() calls the plain consumer's: one span, not two and not none."""
        found = consumer(DeserializingConsumer, **{"value.deserializer": lambda value, context: int(value)})
        message = polled(found)
        assert message.value() == 0
        assert is_child(trace.get_current_span(), three[0])
        found.close()
        assert nothing_current()

    def test_what_cannot_be_deserialized(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        found = consumer(DeserializingConsumer, **{"value.deserializer": lambda value, context: value.nothing})
        with pytest.raises(confluent_kafka.error.ValueDeserializationError):
            polled(found)
        found.close()
        assert nothing_current()
        assert len(spans.consumers) == 1

    def test_two_consumers_interleaved(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        one, other = consumer(), consumer()
        for producer_span in three:
            for found in (one, other):
                polled(found)
                assert is_child(trace.get_current_span(), producer_span)
        one.close()
        other.close()
        assert nothing_current()
        assert len(spans.consumers) == 6

    def test_closed_by_another_thread(
        self, three: list[Any], consumer: Consumers, spans: Recorded, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nothing about a "different Context" is logged."""
        found, other = consumer(), consumer()
        polled(found)
        polled(other)
        thread = threading.Thread(target=found.close)
        thread.start()
        thread.join()
        other.close()
        assert nothing_current()
        assert "Context" not in caplog.text

    def test_carry_resumes_a_message_later_and_elsewhere(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        """A message has no place for us: it is known by topic, partition, offset and timestamp."""
        found = consumer()
        messages = [polled(found) for _ in three]
        found.close()

        def work() -> None:
            for message in messages:
                with autotrace.carry(message):  # type: ignore[operator]
                    own_work(f"later {message.offset()}")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        for processed in spans.consumers:
            (later,) = [span for span in spans if span.name == f"later {tags(processed)['offset']}"]
            assert is_child(later, processed)

    def test_rebalance_callbacks_and_commits_are_as_they_were(
        self, three: list[Any], topic: str, broker: str, spans: Recorded
    ) -> None:
        found = Consumer({"bootstrap.servers": broker, "group.id": topic, "auto.offset.reset": "earliest"})
        seen: list[Any] = []
        found.subscribe([topic], on_assign=lambda client, parts: seen.append((client is found, len(parts))))
        message = polled(found)
        (committed,) = found.commit(message, asynchronous=False)
        assert (committed.offset, seen) == (1, [(True, 1)])
        found.close()


class TestConsume:
    def test_each_message_is_current_in_turn(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        """Other agents make the last message of a batch the parent of all work."""
        found = consumer()
        seen = 0
        while seen < 3:
            for message in found.consume(3, 0.5):
                assert is_child(trace.get_current_span(), three[message.offset()])
                own_work(f"body {message.offset()}")
                seen += 1
            assert nothing_current()
        for number, processed in enumerate(spans.consumers):
            assert processed.name == f"process {topic}"
            (work,) = [span for span in spans if span.name == f"body {number}"]
            assert is_child(work, processed)
            assert tags(processed)["kafka.lag"] == 2 - number
        assert len(spans.consumers) == 3

    def test_lists_are_lists(self, three: list[Any], consumer: Consumers, spans: Recorded) -> None:
        messages = consumed(consumer(), 3)
        assert isinstance(messages, list)
        assert messages == list(messages)
        assert type(messages[0]) is Message
        assert type(messages[:1]) is list
        assert len(messages) == len(messages[:])

    def test_messages_that_are_not_iterated_share_one_span(
        self, three: list[Any], topic: str, consumer: Consumers, spans: Recorded
    ) -> None:
        messages = consumed(consumer(), 3)
        total = len(messages)
        assert messages[0].value() == b"0"
        del messages
        (received,) = spans.consumers
        assert received.name == f"receive {topic}"
        assert tags(received)["messaging.batch.message_count"] == total
        assert tags(received)["messaging.destination.partition.id"] == "0"
        assert is_child(received, three[0])
        assert [link.span_id for link in received.links or ()] == [span.span_id for span in three[:total]]

    def test_close_tells_of_messages_that_are_still_held(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer()
        messages = consumed(found, 3)
        found.close()
        assert len(spans.consumers) == 1
        assert messages

    def test_errors_among_the_messages_make_no_span(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer(**{"enable.partition.eof": True})
        seen: list[Any] = []
        while len(seen) < 4:
            for message in found.consume(10, 1):
                assert nothing_current() is (message.error() is not None)
                seen.append(message.error())
        assert [error is None for error in seen] == [True, True, True, False]
        assert len(spans.consumers) == 3

    def test_errors_alone_are_the_librarys_own_list(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        found = consumer(**{"enable.partition.eof": True})
        found.assign([TopicPartition(found.assignment()[0].topic, 0, confluent_kafka.OFFSET_END)])
        messages: list[Any] = []
        while not messages:
            messages = found.consume(10, 1)
        assert type(messages) is list
        assert spans.consumers == []

    def test_an_exception_in_the_body_is_the_records_failure(
        self, three: list[Any], consumer: Consumers, spans: Recorded
    ) -> None:
        with pytest.raises(LookupError):
            for message in consumed(consumer(), 3):
                raise LookupError(str(message.offset()))
        assert nothing_current()
        assert [span.failure.message for span in spans.consumers if span.failure] == ["0"]


class TestTypes:
    """C types: subclasses that stay what they claim."""

    @pytest.mark.parametrize(("ours", "bare"), [(Producer, BareProducer), (Consumer, BareConsumer)])
    def test_a_class_shows_itself_as_the_librarys(self, ours: Any, bare: Any) -> None:
        assert issubclass(ours, bare)
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            assert getattr(ours, name) == getattr(bare, name)
        assert repr(ours) == repr(bare)
        assert getattr(confluent_kafka, ours.__name__) is getattr(confluent_kafka.cimpl, ours.__name__) is ours
        own = {name for name in vars(ours) if not name.startswith("__")}
        assert own - {SLOT} <= set(dir(bare))
        for name in own - {SLOT}:
            assert getattr(ours, name).__doc__ == getattr(bare, name).__doc__
            assert (
                outcome(lambda name=name: inspect.signature(getattr(ours, name)))[0]
                is (outcome(lambda name=name: inspect.signature(getattr(bare, name)))[0])
            )

    def test_instances_are_what_they_claim(self, broker: str) -> None:
        for kind, bare, config in (
            (Producer, BareProducer, {}),
            (Consumer, BareConsumer, {"group.id": "g"}),
        ):
            made = kind({"bootstrap.servers": broker, **config})
            plain = bare({"bootstrap.servers": broker, **config})
            assert type(made) is kind
            assert isinstance(made, bare)
            assert repr(made).split(" at ")[0] == repr(plain).split(" at ")[0]
            for attempt in (pickle.dumps, copy.copy, vars, weakref.ref, lambda thing: setattr(thing, "own", 1)):
                assert outcome(lambda attempt=attempt, plain=plain: attempt(plain))[0] is not None
                assert (
                    outcome(lambda attempt=attempt, made=made: attempt(made))[0]
                    is outcome(lambda attempt=attempt, plain=plain: attempt(plain))[0]
                )
        assert isinstance(SerializingProducer({"bootstrap.servers": broker}), Producer)
        assert issubclass(DeserializingConsumer, Consumer)

    @pytest.mark.parametrize(
        "form",
        [
            lambda kind: kind(),
            lambda kind: kind(5),
            lambda kind: kind({}, {}),
            lambda kind: kind({"nothing": 1}),
            lambda kind: kind({"error_cb": 5}),
            lambda kind: kind({5: 5}),
            lambda kind: kind({"logger": 5}),
            lambda kind: kind(config={}),
        ],
    )
    @pytest.mark.parametrize(("ours", "bare"), [(Producer, BareProducer), (Consumer, BareConsumer)])
    def test_wrong_forms_of_init_fail_as_they_would(self, spans: Recorded, ours: Any, bare: Any, form: Any) -> None:
        """Some of them do not fail at all. With no keywords at all, C sees something else than with none of them."""
        assert outcome(lambda: form(ours)) == outcome(lambda: form(bare))

    @pytest.mark.parametrize("form", ["dict", "keywords", "both"])
    def test_every_form_of_init(self, broker: str, topic: str, spans: Recorded, form: str) -> None:
        config: dict[str, Any] = {"bootstrap.servers": broker, "client.id": form}
        before = dict(config)
        if form == "dict":
            made = Producer(config)
        elif form == "keywords":
            made = Producer(**config)
        else:
            made = Producer({"bootstrap.servers": broker}, **{"client.id": form})
        assert config == before
        sent(made, topic, b"v")
        assert tags(spans.one())["messaging.client.id"] == form
        assert tags(spans.one())["peer.address"] == broker

    def test_callbacks_and_logger_are_the_librarys_business(
        self, broker: str, topic: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: list[str] = []
        config = {
            "bootstrap.servers": "127.0.0.1:1",
            "error_cb": lambda error: seen.append("error"),
            "stats_cb": lambda text: seen.append("stats"),
            "statistics.interval.ms": 50,
        }
        with caplog.at_level(logging.DEBUG):
            made = Producer(config, logger=logging.getLogger("program"))
            deadline = time.monotonic() + 20
            while {"error", "stats"} - set(seen) and time.monotonic() < deadline:
                made.poll(0.1)
        assert {"error", "stats"} <= set(seen)
        assert "program" in {record.name for record in caplog.records}

    @needs_producer_close  # versions before that crash on such an object
    def test_an_object_that_was_never_initialized(self, spans: Recorded) -> None:
        for ours, bare in ((Producer, BareProducer), (Consumer, BareConsumer)):
            made, plain = ours.__new__(ours), bare.__new__(bare)
            for name in ("poll", "flush", "consume", "close", "commit"):
                if hasattr(bare, name):
                    assert outcome(getattr(made, name)) == outcome(getattr(plain, name))
        made = Producer.__new__(Producer)
        assert outcome(lambda: made.produce("t")) == outcome(lambda: BareProducer.__new__(BareProducer).produce("t"))
        assert spans == []

    def test_twice_is_a_mistake_as_it_was(self, broker: str) -> None:
        made = Producer({"bootstrap.servers": broker})
        with pytest.raises(RuntimeError):
            made.__init__({"bootstrap.servers": broker})  # type: ignore[misc]

    def test_exceptions_and_messages_are_the_librarys_own(self) -> None:
        assert confluent_kafka.Message is confluent_kafka.cimpl.Message
        assert KafkaException is confluent_kafka.cimpl.KafkaException


class TestPatch:
    def test_it_is_on(self) -> None:
        assert registry.states["confluent_kafka", "confluent_kafka.cimpl"] == registry.ON

    def test_twice_is_once(self) -> None:
        plan = Plan()
        patch.clients(confluent_kafka.cimpl, plan)
        plan.apply()
        assert plan._undo == []

    @pytest.mark.parametrize(
        ("where", "lacking"),
        [
            ("Producer", "produce"),
            ("Consumer", "poll"),
            ("Consumer", "close"),
            ("Consumer", "get_watermark_offsets"),
            ("Message", "offset"),
        ],
    )
    def test_a_library_that_lacks_something_is_refused_whole(self, where: str, lacking: str) -> None:
        kinds = {
            "Producer": dict.fromkeys(("produce", "poll", "flush")),
            "Consumer": dict.fromkeys(("poll", "consume", "commit", "unsubscribe", "close", "get_watermark_offsets")),
            "Message": dict.fromkeys(("topic", "partition", "offset", "timestamp", "key", "headers", "error")),
        }
        del kinds[where][lacking]
        module = types.SimpleNamespace(
            __spec__=types.SimpleNamespace(_initializing=True),
            KafkaException=Exception,
            TopicPartition=object,
            **{name: type(name, (), dict.fromkeys(space, print)) for name, space in kinds.items()},
        )
        before = dict(vars(module))
        plan = Plan()
        with pytest.raises(Unpatchable, match=lacking):
            patch.clients(module, plan)
        assert vars(module) == before

    @pytest.mark.parametrize("ending", ["pass", "producer = None", "import sys; sys.exit(3)", "raise LookupError"])
    def test_a_program_that_never_polls_has_its_spans_exported(self, broker: str, topic: str, ending: str) -> None:
        program = (
            "from autotrace import activation\nactivation.activate()\nfrom confluent_kafka import Producer\n"
            f"producer = Producer({{'bootstrap.servers': {broker!r}, 'log_level': 0}})\n"
            f"producer.produce({topic!r}, b'v')\n{ending}\n"
        )
        done = run(program, AUTOTRACE_EXPORTER="console")
        assert done.stderr.count(f"send {topic}") == 1

    def test_a_forked_child_leaves_the_parents_spans_alone(self, topic: str, spans: Recorded) -> None:
        lost = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        lost.produce(topic, b"v")
        pending: PendingDeliveries = getattr(lost, SLOT)
        if (child := os.fork()) == 0:
            os._exit(len(pending.waiting))
        assert os.waitpid(child, 0)[1] == 0
        assert len(pending.waiting) == 1
        del lost, pending
        assert len(spans) == 1

    @pytest.mark.parametrize(
        ("where", "step"),
        [
            *((patch, step) for step in ("_client", "_callback", "_given_callback", "_injected", "_shared")),
            (producing, "short_key"),
            *((method_messages, step) for step in ("age", "short_key", "_topic")),
            *((consumer_span, step) for step in ("start_span", "ActiveRecord")),
        ],
        ids=lambda it: getattr(it, "__name__", it),
    )
    def test_a_failure_of_ours_changes_nothing(
        self, topic: str, broker: str, consumer: Consumers, monkeypatch: pytest.MonkeyPatch, where: Any, step: str
    ) -> None:
        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a defect of ours")

        monkeypatch.setattr(where, step, fails)
        self.all_works(topic, broker, consumer)

    @pytest.mark.parametrize("step", ["facts", "key", "headers", "extract"])
    def test_a_record_that_cannot_be_read_is_given_all_the_same(
        self, topic: str, broker: str, consumer: Consumers, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def fails(*_: Any) -> Any:
            raise RuntimeError("a defect of ours")

        monkeypatch.setattr(method_messages, "ADAPTER", method_messages.ADAPTER._replace(**{step: fails}))
        self.all_works(topic, broker, consumer)

    def all_works(self, topic: str, broker: str, consumer: Consumers) -> None:
        seen: list[Any] = []
        sent(Producer({"bootstrap.servers": broker}), topic, b"v", on_delivery=lambda *_: seen.append(1))
        assert seen == [1]
        assert polled(consumer()).value() == b"v"
        found = consumer()
        assert [message.value() for message in consumed(found, 1)] == [b"v"]
        found.close()
        gc.collect()
        assert nothing_current()

    def test_a_failure_of_ours_in_a_report_still_runs_the_programs(
        self, topic: str, broker: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: Any) -> Any:
            raise RuntimeError("a defect of ours")

        monkeypatch.setattr(patch.DeliveryReport, "on_report", fails)
        seen: list[Any] = []
        sent(Producer({"bootstrap.servers": broker}), topic, b"v", on_delivery=lambda *_: seen.append(1))
        assert seen == [1]

    def test_memory_does_not_grow_with_the_messages(self, topic: str, broker: str, spans: Recorded) -> None:
        made = Producer({"bootstrap.servers": broker})
        for _ in range(300):
            made.produce(topic, b"v")
        made.flush(30)
        assert getattr(made, SLOT).waiting == set()
        assert len(spans) == 300


def run(program: str, **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "AUTOTRACE_EXPORTER": "none", "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("kafka:9093", ("kafka", 9093)),
        ("kafka", ("kafka", 9092)),
        ("a:1,b:2", ("a", 1)),
        (["a:1", "b:2"], ("a", 1)),
        ("[::1]:9093", ("::1", 9093)),
        ("::1", ("::1", 9092)),
        ("SASL_SSL://my-kafka.svc:9094", ("my-kafka.svc", 9094)),
        (None, None),
        ("", None),
        ([], None),
    ],
)
def test_the_first_server(servers: Any, expected: Any) -> None:
    assert first_server(servers) == expected


def test_a_long_key_is_not_kept() -> None:
    assert short_key(b"k" * 64) == b"k" * 64
    assert short_key(b"k" * 65) is short_key({"a": 1}) is short_key(None) is short_key(5) is None


@pytest.mark.parametrize(("ago", "known"), [(0, True), (1000, True), (-60_000, False), (20 * 365 * 86_400_000, False)])
def test_the_age_of_a_record_is_told_where_it_is_sane(ago: int, known: bool) -> None:
    assert (age(time.time_ns() // 1_000_000 - ago) is not None) is known
