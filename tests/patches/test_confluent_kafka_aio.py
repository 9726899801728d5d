"""confluent_kafka.aio against a real broker: messages belong to the program's tasks, not to the library's threads."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import time
import types
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any
from unittest import mock

import pytest
from confluent_kafka import KafkaException, Message, Producer, TopicPartition
from opentelemetry import trace

import autotrace
from autotrace import registry
from autotrace.patches import confluent_kafka_aio as patch
from autotrace.patching import MARK, Plan, Unpatchable
from tests.contracts.messaging import own_work
from tests.recorded import Recorded, is_child, nothing_current, tags

aio = pytest.importorskip("confluent_kafka.aio")
from confluent_kafka.aio import AIOConsumer, AIOProducer

_numbers = count()


def test_clients_that_are_mocks_work_as_without_us(spans: Recorded) -> None:
    """A mock has every attribute. Programs, and the library's own tests, put mocks in the place of clients."""

    async def main() -> None:
        with mock.patch("confluent_kafka.aio._AIOConsumer.confluent_kafka.Consumer") as kind:
            consumer = AIOConsumer({"bootstrap.servers": "x", "group.id": "g"})
            kind.return_value.poll.return_value = "polled"
            assert await consumer.poll(0) == "polled"
            await consumer.close()

    asyncio.run(main())
    message = {"topic": "t", "key": None}
    manager = mock.MagicMock()
    patch._add_message(lambda self, msg_data, future: None)(manager, message, None)
    assert message == {"topic": "t", "key": None}


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or request.getfixturevalue("kafka").bootstrap_servers


@pytest.fixture
def topic() -> str:
    return f"topic-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


@pytest.fixture
def three(topic: str, broker: str, spans: Recorded) -> list[Any]:
    """The producer spans of three messages in the topic."""
    made = Producer({"bootstrap.servers": broker})
    for number in range(3):
        made.produce(topic, b"%d" % number)
        made.flush(30)
    return spans.producers


def consuming(kind: Any, broker: str, topic: str, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """work(consumer) under asyncio, the consumer closed after it."""

    async def main() -> Any:
        found = kind({"bootstrap.servers": broker, "group.id": topic})
        if inspect.isawaitable(found):
            found = await found
        await found.assign([TopicPartition(topic, 0, 0)])
        try:
            return await work(found)
        finally:
            await found.close()
            assert nothing_current()

    return asyncio.run(main())


async def polled(found: Any) -> Any:
    for _ in range(600):
        message = await found.poll(0.2)
        if message is not None and message.error() is None:
            return message
    raise AssertionError("no message came")


KINDS = [AIOConsumer, *([aio.AsyncDeserializingConsumer] if hasattr(aio, "AsyncDeserializingConsumer") else [])]


@pytest.mark.parametrize("kind", KINDS)
class TestConsumer:
    def test_a_message_is_current_in_the_task_until_the_next_poll(
        self, kind: Any, three: list[Any], broker: str, topic: str, spans: Recorded
    ) -> None:
        async def work(found: Any) -> None:
            for number, sent in enumerate(three):
                message = await polled(found)
                assert type(message) is Message
                assert is_child(trace.get_current_span(), sent)
                await asyncio.sleep(0)
                own_work(f"body {number}")
            assert await found.poll(0.3) is None
            assert nothing_current()

        consuming(kind, broker, topic, work)
        assert len(spans.consumers) == 3
        for number, processed in enumerate(spans.consumers):
            (body,) = [span for span in spans if span.name == f"body {number}"]
            assert is_child(body, processed)
            assert tags(processed)["messaging.consumer.group.name"] == topic
            assert tags(processed)["kafka.lag"] == 2 - number

    def test_each_message_of_a_list_is_current_in_turn(
        self, kind: Any, three: list[Any], broker: str, topic: str, spans: Recorded
    ) -> None:
        async def work(found: Any) -> None:
            seen = 0
            while seen < 3:
                for message in await found.consume(3, 0.5):
                    assert is_child(trace.get_current_span(), three[message.offset()])
                    own_work(f"body {message.offset()}")
                    seen += 1
                assert nothing_current()

        consuming(kind, broker, topic, work)
        assert len(spans.consumers) == 3
        for number, processed in enumerate(spans.consumers):
            (body,) = [span for span in spans if span.name == f"body {number}"]
            assert is_child(body, processed)

    @pytest.mark.parametrize("turn", ["commit", "unsubscribe", "close"])
    def test_until_the_program_turns_away(
        self, kind: Any, three: list[Any], broker: str, topic: str, spans: Recorded, turn: str
    ) -> None:
        async def work(found: Any) -> None:
            await polled(found)
            assert not nothing_current()
            if turn != "close":
                await getattr(found, turn)()
                assert nothing_current()

        consuming(kind, broker, topic, work)
        assert len(spans.consumers) == 1

    def test_a_failure_in_the_body_is_seen_where_close_stands_in_finally(
        self, kind: Any, three: list[Any], broker: str, topic: str, spans: Recorded
    ) -> None:
        async def work(found: Any) -> None:
            await polled(found)
            raise LookupError("no such order")

        with pytest.raises(LookupError):
            consuming(kind, broker, topic, work)
        (processed,) = spans.consumers
        assert tags(processed)["error.type"] == "LookupError"

    def test_other_tasks_see_nothing_of_it(
        self, kind: Any, three: list[Any], broker: str, topic: str, spans: Recorded
    ) -> None:
        async def work(found: Any) -> None:
            seen = []

            async def bystander() -> None:
                for _ in range(10):
                    seen.append(nothing_current())
                    await asyncio.sleep(0.01)

            beside = asyncio.create_task(bystander())
            await polled(found)
            await beside
            assert all(seen)

        consuming(kind, broker, topic, work)

    def test_carry_and_empty_polls(self, kind: Any, three: list[Any], broker: str, topic: str, spans: Recorded) -> None:
        async def work(found: Any) -> Any:
            message = await polled(found)
            await found.assign([TopicPartition(topic, 0, 3)])
            assert await found.poll(0.2) is None
            assert await found.consume(2, 0.2) == []
            return message

        message = consuming(kind, broker, topic, work)
        with autotrace.carry(message):  # type: ignore[operator]
            own_work("later")
        (processed,) = spans.consumers
        (later,) = [span for span in spans if span.name == "later"]
        assert is_child(later, processed)

    def test_what_the_library_raises_passes(
        self, kind: Any, three: list[Any], broker: str, topic: str, spans: Recorded
    ) -> None:
        async def work(found: Any) -> None:
            with pytest.raises(TypeError):
                await found.poll("x")
            with pytest.raises(ValueError):
                await found.consume(2_000_000, 1)

        consuming(kind, broker, topic, work)
        assert spans.consumers == []


class TestProducer:
    def test_a_message_belongs_to_the_task_that_produced_it(self, broker: str, topic: str, spans: Recorded) -> None:
        """Its batch is sent later, by whoever fills or flushes it."""

        async def request(made: Any, name: str) -> Any:
            with trace.get_tracer("program").start_as_current_span(name):
                future = await made.produce(topic, name.encode(), key=name)
            return await future

        async def main() -> Any:
            made = AIOProducer({"bootstrap.servers": broker}, batch_size=2)
            try:
                return await asyncio.gather(request(made, "one"), request(made, "two"))
            finally:
                await made.close()

        messages = asyncio.run(main())
        assert [type(message) for message in messages] == [Message, Message]
        assert len(spans.producers) == 2
        for name in ("one", "two"):
            (asked,) = [span for span in spans if span.name == name]
            (sent,) = [span for span in spans.producers if tags(span)["messaging.kafka.message.key"] == name]
            assert is_child(sent, asked)
            assert tags(sent)["offset"] in (0, 1)
            assert tags(sent)["peer.address"] == broker

    def test_a_message_that_is_refused_is_its_spans_failure(self, broker: str, topic: str, spans: Recorded) -> None:
        async def main() -> None:
            made = AIOProducer({"bootstrap.servers": broker}, batch_size=2)
            good = await made.produce(topic, b"1")
            large = await made.produce(topic, b"x" * 2_000_000)
            with pytest.raises(KafkaException):
                await large
            assert (await good).offset() == 0
            await made.close()

        asyncio.run(main())
        failed = [span for span in spans.producers if span.failure is not None]
        assert len(failed) == 1
        assert len(spans.producers) == 2

    def test_a_delivery_that_fails_is_its_spans_failure(self, topic: str, spans: Recorded) -> None:
        async def main() -> None:
            made = AIOProducer(
                {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 200, "log_level": 0}, batch_size=1
            )
            future = await made.produce(topic, b"1")
            await made.close()
            with pytest.raises(KafkaException):
                await future

        asyncio.run(main())
        assert spans.one().failure is not None

    def test_headers_are_refused_as_they_are(self, broker: str, topic: str, spans: Recorded) -> None:
        async def main() -> None:
            made = AIOProducer({"bootstrap.servers": broker})
            with pytest.raises(NotImplementedError):
                await made.produce(topic, b"1", headers={"a": b"b"})
            await made.close()

        asyncio.run(main())
        assert spans == []


class TestPatch:
    def test_it_is_on(self) -> None:
        assert {
            registry.states["confluent_kafka.aio", module] for module in registry.PATCHES["confluent_kafka.aio"]
        } == {registry.ON}

    def test_methods_stay_coroutine_functions_with_their_signature(self) -> None:
        for name in ("poll", "consume", "commit", "unsubscribe", "close"):
            method = getattr(AIOConsumer, name)
            assert inspect.iscoroutinefunction(method)
            assert inspect.signature(method) == inspect.signature(getattr(method, MARK))

    def test_twice_is_once(self) -> None:
        for module, function in registry.PATCHES["confluent_kafka.aio"].items():
            plan = Plan()
            getattr(patch, function)(sys.modules[module], plan)
            plan.apply()
            assert plan._undo == []

    @pytest.mark.parametrize("lacking", ["poll", "consume", "close", "commit"])
    def test_a_library_that_lacks_something_is_refused_whole(self, lacking: str) -> None:
        names = {"__init__", "poll", "consume", "commit", "unsubscribe", "close"} - {lacking}
        kind = type("AIOConsumer", (), dict.fromkeys(names, lambda self: None))
        with pytest.raises(Unpatchable, match=lacking):
            patch.consumer(types.SimpleNamespace(AIOConsumer=kind), Plan())

    def test_it_stands_on_the_patch_of_the_clients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "confluent_kafka.cimpl")
        with pytest.raises(Unpatchable, match="not patched"):
            patch.consumer(types.SimpleNamespace(AIOConsumer=AIOConsumer), Plan())
