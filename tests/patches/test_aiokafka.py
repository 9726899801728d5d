"""aiokafka against a real broker: what other agents get wrong, and that the program sees nothing of us.

tests/end_to_end/test_aiokafka_versions.py runs this file with an older version, on the broker KAFKA_BOOTSTRAP_SERVERS.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import re
import sys
import time
import weakref
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import aiokafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, MessageSizeTooLargeError
from opentelemetry import trace

import autotrace
from autotrace.messaging.acknowledgement import end_with_future
from autotrace.messaging.client_slot import SLOT
from autotrace.messaging.producing import start_span
from autotrace.patches import aiokafka as patch
from autotrace.patching import MARK, Plan
from autotrace.semantics import topics
from autotrace.semantics.family import SharedFacts
from autotrace.setting_types import any_of
from tests.contracts.async_messaging import AsyncMessagingPromises, asynchronous
from tests.contracts.messaging import own_work
from tests.recorded import Recorded, is_child, nothing_current, tags

SEND = AIOKafkaProducer.send
UNTRACED_SEND = getattr(SEND, MARK)
_numbers = count()


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or request.getfixturevalue("kafka").bootstrap_servers


@pytest.fixture
def topic() -> str:
    return f"topic-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


class Client:
    """The client of the contract and of the tests below: a producer, and a consumer of the topic from its beginning."""

    def __init__(self, broker: str, topic: str, **config: Any) -> None:
        self.broker, self.topic, self.config = broker, topic, config

    async def __aenter__(self) -> Any:
        self.stack = contextlib.AsyncExitStack()
        self.producer = await self.stack.enter_async_context(self.new_producer())
        await self.producer.partitions_for(self.topic)  # makes it
        self.consumer = await self.new_consumer(**self.config)
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.stack.__aexit__(*failure)

    def new_producer(self, **config: Any) -> AIOKafkaProducer:
        return AIOKafkaProducer(bootstrap_servers=self.broker, **config)

    async def new_consumer(self, **config: Any) -> AIOKafkaConsumer:
        made = AIOKafkaConsumer(bootstrap_servers=self.broker, auto_offset_reset="earliest", **config)
        if "group_id" in config:
            made.subscribe([self.topic])
        else:
            made.assign([TopicPartition(self.topic, 0)])
        await self.stack.enter_async_context(made)
        await asyncio.sleep(0)  # stop() raises CancelledError where the library's own tasks have never run
        return made

    async def send(self, value: bytes, headers: Any = None) -> None:
        await self.producer.send_and_wait(self.topic, value, headers=headers)

    async def send_untraced(self, value: bytes, headers: Any) -> None:
        await (await UNTRACED_SEND(self.producer, self.topic, value, headers=headers))

    async def loop(self, count: int) -> AsyncIterator[Any]:
        left = count
        async for record in self.consumer:
            yield record
            left -= 1
            if not left:
                break


class Ones(Client):
    """By getone(): a record's end is the next call of the consumer, here one that gives nothing."""

    async def loop(self, count: int) -> AsyncIterator[Any]:
        for _ in range(count):
            yield await self.consumer.getone()
        self.consumer.pause(TopicPartition(self.topic, 0))
        assert await self.consumer.getmany() == {}
        self.consumer.resume(TopicPartition(self.topic, 0))


class Many(Client):
    """By getmany()."""

    async def loop(self, count: int) -> AsyncIterator[Any]:
        left = count
        while left:
            for records in (await self.consumer.getmany(timeout_ms=1000, max_records=left)).values():
                for record in records:
                    yield record
                    left -= 1


class TestAsyncFor(AsyncMessagingPromises):
    @pytest.fixture
    def client(self, broker: str, topic: str) -> Any:
        return Client(broker, topic)


class TestGetOne(AsyncMessagingPromises):
    @pytest.fixture
    def client(self, broker: str, topic: str) -> Any:
        return Ones(broker, topic)


class TestGetMany(AsyncMessagingPromises):
    @pytest.fixture
    def client(self, broker: str, topic: str) -> Any:
        return Many(broker, topic)


@pytest.fixture
def client(broker: str, topic: str) -> Client:
    return Client(broker, topic)


async def settled() -> None:
    """Callbacks of what is done have run."""
    for _ in range(3):
        await asyncio.sleep(0)


class TestSend:
    @pytest.mark.parametrize(
        "headers",
        [None, [], [("mine", b"1"), ("mine", b"2")], (("mine", b"1"),)],
        ids=["none", "empty", "some", "tuple"],
    )
    @pytest.mark.parametrize("positional", [True, False])
    @asynchronous
    async def test_headers_in_every_form(self, client: Client, spans: Recorded, headers: Any, positional: bool) -> None:
        """Positional, by keyword, or None."""
        before = None if headers is None else list(headers)
        async with client:
            if positional:
                await client.producer.send_and_wait(client.topic, b"v", b"k", 0, 1_700_000_000_000, headers)
            else:
                await client.producer.send_and_wait(topic=client.topic, value=b"v", key=b"k", headers=headers)
            record = await client.consumer.getone()
        assert (None if headers is None else list(headers)) == before
        assert (record.key, record.value) == (b"k", b"v")
        assert list(record.headers[: len(before or [])]) == (before or [])
        (sent,) = spans.producers
        assert dict(record.headers)["X-B3-TraceId"] == b"%032x" % sent.trace_id
        assert tags(sent)["messaging.kafka.message.key"] == "k"

    @asynchronous
    async def test_the_span_ends_with_the_brokers_answer(self, client: Client, spans: Recorded) -> None:
        """Not before the send is awaited, and not when send() returns."""
        async with client, client.new_producer(linger_ms=300) as slow:
            call = slow.send(client.topic, b"v")
            assert inspect.iscoroutine(call)
            future = await call
            assert type(future) is asyncio.Future
            assert spans == []
            assert nothing_current()
            metadata = await future
            await settled()
            assert tags(spans.one())["messaging.kafka.offset"] == metadata.offset == 0

    @asynchronous
    async def test_records_in_flight_when_the_producer_stops(self, client: Client, spans: Recorded) -> None:
        async with client:
            async with client.new_producer(linger_ms=100) as slow:
                for _ in range(5):
                    await slow.send(client.topic, b"v")
            await settled()
        assert sorted(tags(span)["offset"] for span in spans) == [0, 1, 2, 3, 4]

    @asynchronous
    async def test_without_acknowledgement_no_offset_is_told(self, client: Client, spans: Recorded) -> None:
        """An unknown offset is no tag, never -1."""
        async with client, client.new_producer(acks=0) as careless:
            assert await careless.send_and_wait(client.topic, b"v") is None
            await settled()
        assert "messaging.kafka.offset" not in tags(spans.one())
        assert "error" not in tags(spans.one())

    @asynchronous
    async def test_what_the_library_raises_passes_and_is_told(self, client: Client, spans: Recorded) -> None:
        """Errors of the library reach the program, and are on the span."""
        async with client:
            for wrong in ((client.topic,), (client.topic, {"not": "bytes"}), (client.topic, b"v" * 2_000_000)):
                with pytest.raises(Exception) as bare:
                    await UNTRACED_SEND(client.producer, *wrong)
                with pytest.raises(bare.type) as found:
                    await client.producer.send(*wrong)
                assert re.sub(r"\d+", "", str(found.value)) == re.sub(
                    r"\d+", "", str(bare.value)
                )  # sizes, with headers
                assert nothing_current()
            with pytest.raises(TypeError):
                await client.producer.send()
        kinds = [tags(span)["error.type"] for span in spans]
        assert kinds[0] == "AssertionError"
        assert kinds[2] == f"{MessageSizeTooLargeError.__module__}.MessageSizeTooLargeError"

    @asynchronous
    async def test_a_record_that_just_fits_is_sent_without_our_headers(self, client: Client, spans: Recorded) -> None:
        """The client measures what its serializers made, so nothing is known before."""
        kind = getattr(sys.modules[AIOKafkaProducer.__module__], "DefaultRecordBatchBuilder", None)
        if kind is None:
            return  # this version does not count the headers
        room = 3800 - kind.estimate_size_in_bytes(None, b"x" * 1800, [("mine", b"1")])
        small = client.new_producer(max_request_size=2000, value_serializer=lambda value: b"x" * value)
        async with client, small:
            await small.send_and_wait(client.topic, room, headers=[("mine", b"1")])
            await small.send_and_wait(client.topic, room - 500)
            with pytest.raises(MessageSizeTooLargeError, match="2001 bytes"):
                await small.send_and_wait(client.topic, room + 1, headers=[("mine", b"1")])
            headers = [record.headers async for record in client.loop(2)]
        assert headers[0] == (("mine", b"1"),)
        assert "traceparent" in dict(headers[1])
        assert ["error" in tags(span) for span in spans.producers] == [False, False, True]

    @asynchronous
    async def test_a_refusal_by_the_broker_is_the_spans_failure_and_stays_unseen(
        self, client: Client, spans: Recorded
    ) -> None:
        """The answer comes after send() has returned. asyncio still says that nobody has looked at it."""
        said: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: said.append(context["message"]))
        async with client, client.new_producer(max_request_size=3_000_000) as large:
            future = await large.send(client.topic, b"v" * 2_000_000)
            await asyncio.wait([future])
            await settled()
            assert tags(spans.one())["error.type"].endswith("MessageSizeTooLargeError")
            del future
            gc.collect()
        assert said == ["Future exception was never retrieved"]

    @asynchronous
    async def test_a_send_that_is_cancelled(self, client: Client, spans: Recorded) -> None:
        async with client:
            lost = client.new_producer()  # never started: it waits for metadata
            task = asyncio.create_task(lost.send(client.topic, b"v"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await lost.stop()
        assert tags(spans.one())["error.type"].endswith("CancelledError")

    @asynchronous
    async def test_a_future_that_is_cancelled_or_dropped_ends_its_span(self, client: Client, spans: Recorded) -> None:
        async with client:
            future = await client.producer.send(client.topic, b"v")
            future.cancel()
            await settled()
            assert "error" not in tags(spans.one())
        lost = asyncio.get_running_loop().create_future()
        end_with_future(start_span({}, SharedFacts({})), lost)
        del lost
        gc.collect()
        assert len(spans) == 2

    @asynchronous
    async def test_the_programs_own_callbacks_run_in_the_context_they_were_added_in(
        self, client: Client, spans: Recorded
    ) -> None:
        async with client:
            with trace.get_tracer("program").start_as_current_span("request") as request:
                future = await client.producer.send(client.topic, b"v")
                future.add_done_callback(lambda _: own_work("acknowledged"))
                await future
            await settled()
        (work,) = [span for span in spans if span.name == "acknowledged"]
        assert work.parent_id == request.get_span_context().span_id

    @asynchronous
    async def test_a_transaction(self, client: Client, spans: Recorded) -> None:
        async with client, client.new_producer(transactional_id=client.topic) as careful:
            async with careful.transaction():
                await careful.send_and_wait(client.topic, b"v")
            await settled()
        assert tags(spans.one())["offset"] == 0

    @asynchronous
    async def test_the_peer_is_the_first_configured_server(self, client: Client, broker: str, spans: Recorded) -> None:
        """Kiali wants the host as configured, not the broker that answered."""
        host = f"localhost:{broker.rpartition(':')[2]}"
        async with client, AIOKafkaProducer(bootstrap_servers=[host, broker], client_id="me") as made:
            await made.send_and_wait(client.topic, b"v")
            await settled()
        said = tags(spans.one())
        assert (said["peer.hostname"], said["peer.address"], said["messaging.client.id"]) == ("localhost", host, "me")


class TestBatches:
    @asynchronous
    async def test_all_of_a_batch_share_a_span_that_each_record_carries(self, client: Client, spans: Recorded) -> None:
        async with client:
            batch = client.producer.create_batch()
            headers = [("mine", b"1")]
            for number in range(3):
                assert batch.append(key=None, value=b"%d" % number, timestamp=None, headers=headers) is not None
            assert batch.append(key=b"k", value=b"3", timestamp=None) is not None
            assert headers == [("mine", b"1")]
            future = await client.producer.send_batch(batch, client.topic, partition=0)
            assert spans == []
            assert nothing_current()
            await future
            await settled()
            async for _ in client.loop(4):
                pass
        (sent,) = spans.producers
        assert tags(sent)["messaging.batch.message_count"] == 4
        assert (sent.name, tags(sent)["offset"]) == (f"send {client.topic}", 0)
        assert len(spans.consumers) == 4
        assert all(is_child(processed, sent) for processed in spans.consumers)

    @asynchronous
    async def test_a_batch_that_is_never_sent_leaves_nothing(self, client: Client, spans: Recorded) -> None:
        async with client:
            client.producer.create_batch().append(key=None, value=b"v", timestamp=None)
            gc.collect()
        assert spans == []

    @asynchronous
    async def test_a_batch_that_is_refused_may_be_tried_again(self, client: Client, spans: Recorded) -> None:
        async with client:
            batch = client.producer.create_batch()
            batch.append(key=None, value=b"v", timestamp=None)
            with pytest.raises(AssertionError):
                await client.producer.send_batch(batch, client.topic, partition=77)
            await (await client.producer.send_batch(batch, client.topic, partition=0))
            await settled()
        refused, sent = spans.producers
        assert tags(refused)["error.type"] == "AssertionError"
        assert tags(sent)["offset"] == 0


class TestLoop:
    @pytest.mark.parametrize("way", ["break", "return", "raise", "raise later", "cancel", "stop"])
    @asynchronous
    async def test_nothing_is_current_when_the_loop_is_left(self, client: Client, spans: Recorded, way: str) -> None:
        """The span tells what the program died of, also after the task has slept."""

        async def consume() -> None:
            async for _ in client.consumer:
                if way == "return":
                    return
                if way == "break":
                    break
                if way == "raise later":
                    await asyncio.sleep(0.01)
                if way.startswith("raise"):
                    raise LookupError("no such order")
                if way == "stop":
                    await client.consumer.stop()
                    assert nothing_current()
                if way == "cancel":
                    asyncio.current_task().cancel()  # type: ignore[union-attr]
                    await asyncio.sleep(1)

        async def watch() -> None:
            try:
                await consume()
            finally:
                assert nothing_current()

        expected = {"cancel": asyncio.CancelledError, "raise": LookupError}.get(way.split(maxsplit=1)[0])
        async with client:
            await client.send(b"1")
            with pytest.raises(expected) if expected else contextlib.nullcontext():
                await asyncio.create_task(watch())
        (processed,) = spans.consumers
        assert (processed.failure is not None) is way.startswith("raise")
        if processed.failure is not None:
            assert (processed.failure.type, processed.failure.message) == ("LookupError", "no such order")

    @asynchronous
    async def test_an_exception_of_what_the_body_awaits(self, client: Client, spans: Recorded) -> None:
        async def fails(later: float) -> None:
            await asyncio.sleep(later)
            raise LookupError("deep")

        async with client:
            for later in (0, 0.01):
                await client.send(b"1")
                with pytest.raises(LookupError):
                    async for _ in client.consumer:
                        await fails(later)
                with pytest.raises(LookupError):
                    await client.send(b"1")
                    async for _ in client.consumer:
                        await asyncio.gather(fails(later))
        assert [span.failure.type for span in spans.consumers if span.failure] == ["LookupError"] * 4

    @asynchronous
    async def test_an_exception_that_the_body_handles_is_not_the_records(self, client: Client, spans: Recorded) -> None:
        async with client:
            await client.send(b"1")
            async for _ in client.consumer:
                try:
                    raise LookupError("handled")
                except LookupError:
                    pass
                break
        assert spans.consumers[0].failure is None

    @asynchronous
    async def test_stopped_by_another_task_the_loop_ends_and_the_work_goes_on(
        self, client: Client, spans: Recorded
    ) -> None:
        reached = asyncio.Event()

        async def consume() -> None:
            async for _ in client.consumer:
                reached.set()
                await asyncio.sleep(0.05)
                own_work("after the stop")
            assert nothing_current()

        async with client:
            await client.send(b"1")
            task = asyncio.create_task(consume())
            await reached.wait()
            await client.consumer.stop()
            await task
        (processed,), (work,) = spans.consumers, [span for span in spans if span.name == "after the stop"]
        assert is_child(work, processed)

    @asynchronous
    async def test_the_iterator_leads_to_the_consumer(self, client: Client, spans: Recorded) -> None:
        async with client:
            await client.send(b"1")
            loop = client.consumer.__aiter__()
            assert isinstance(loop, AIOKafkaConsumer)
            assert loop.__aiter__() is loop
            assert loop.assignment() == {TopicPartition(client.topic, 0)}
            assert type(await loop.__anext__()) is ConsumerRecord
            await loop.stop()
            assert nothing_current()
            with pytest.raises(ConsumerStoppedError):
                client.consumer.__aiter__()
            with pytest.raises(StopAsyncIteration):
                await loop.__anext__()

    @asynchronous
    async def test_a_commit_in_the_body_is_part_of_the_work(self, broker: str, topic: str, spans: Recorded) -> None:
        async with Client(broker, topic, group_id=topic, client_id="me", enable_auto_commit=False) as found:
            await found.send(b"1")
            async for _ in found.consumer:
                await found.consumer.commit()
                own_work("after")
                break
        (processed,), (work,) = spans.consumers, [span for span in spans if span.name == "after"]
        assert is_child(work, processed)
        said = tags(processed)
        assert (said["messaging.consumer.group.name"], said["messaging.client.id"]) == (topic, "me")

    @asynchronous
    async def test_an_async_generator_that_is_left_gives_back_what_was_current(
        self, client: Client, spans: Recorded
    ) -> None:
        """asyncio closes it in a task of its own. Before Python 3.12 that task cannot reach this one's context."""
        async with client:
            await client.send(b"1")
            async for _ in client.loop(2):
                break
            gc.collect()
            await settled()
            assert len(spans.consumers) == 1
            assert nothing_current() is (sys.version_info >= (3, 12))
            assert await client.consumer.getmany() == {}
            await client.send(b"2")
            await client.consumer.getone()
            assert is_child(trace.get_current_span(), spans.producers[1])  # type: ignore[arg-type]


class TestGetOneAlone:
    @asynchronous
    async def test_a_record_is_current_until_the_next_and_until_its_commit(
        self, broker: str, topic: str, spans: Recorded
    ) -> None:
        async with Client(broker, topic, group_id=topic, enable_auto_commit=False) as found:
            await found.send(b"0")
            await found.send(b"1")
            for number in range(2):
                record = await found.consumer.getone()
                assert record.offset == number
                assert is_child(trace.get_current_span(), spans.producers[number])  # type: ignore[arg-type]
            await found.consumer.commit()
            assert nothing_current()
        assert len(spans.consumers) == 2

    @pytest.mark.parametrize("fails", [True, False])
    @asynchronous
    async def test_a_record_ends_with_its_task(self, client: Client, spans: Recorded, fails: bool) -> None:
        """What the task died of is the record's failure; asyncio still says that nobody has looked at it."""
        said: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: said.append(context["message"]))

        async def work() -> None:
            await client.consumer.getone()
            await asyncio.sleep(0.01)
            if fails:
                raise LookupError("no such order")

        async with client:
            await client.send(b"1")
            task = asyncio.create_task(work())
            await asyncio.wait([task])
            await settled()
            (processed,) = spans.consumers
            assert (processed.failure is not None) is fails
            del task
            gc.collect()
        assert said == (["Task exception was never retrieved"] if fails else [])

    @asynchronous
    async def test_tasks_that_share_a_consumer_have_their_own_records(self, client: Client, spans: Recorded) -> None:
        async def work() -> None:
            for _ in range(3):
                record = await client.consumer.getone()
                await asyncio.sleep(0.01)
                own_work(f"job {record.offset}")

        async with client:
            for _ in range(6):
                await client.send(b"v")
            await asyncio.gather(work(), work())
            await settled()
        assert len(spans.consumers) == 6
        for processed in spans.consumers:
            (job,) = [span for span in spans if span.name == f"job {tags(processed)['offset']}"]
            assert is_child(job, processed)

    @asynchronous
    async def test_fetched_by_a_task_of_its_own_carry_takes_it_up(self, client: Client, spans: Recorded) -> None:
        """wait_for() makes such a task before Python 3.12."""
        async with client:
            await client.send(b"1")
            record = await asyncio.wait_for(client.consumer.getone(), 10)
            assert nothing_current() is (sys.version_info < (3, 12))
            with autotrace.carry(record):  # type: ignore[operator]
                own_work("carried")
            await client.send(b"2")
            await asyncio.create_task(client.consumer.getone())
            assert nothing_current() is (sys.version_info < (3, 12)) or sys.version_info >= (3, 12)
            await client.consumer.stop()
        first, _ = spans.consumers
        (work,) = [span for span in spans if span.name == "carried"]
        assert is_child(work, first)

    @asynchronous
    async def test_a_consumer_that_is_dropped_lets_go(self, client: Client, spans: Recorded) -> None:
        """Even while its task runs on."""
        async with client:
            await client.send(b"1")
            await client.consumer.getone()
            state = client.consumer.__dict__.pop(SLOT)  # as its collection would: that waits for its own tasks
            consumer_span = weakref.ref(state.span_here())
            del state
            gc.collect()
            assert consumer_span() is None
            assert nothing_current()
        assert len(spans.consumers) == 1

    @asynchronous
    async def test_what_the_library_raises_passes(self, client: Client, spans: Recorded) -> None:
        async with client:
            await client.consumer.stop()
            with pytest.raises(ConsumerStoppedError):
                await client.consumer.getone()
            with pytest.raises(ConsumerStoppedError):
                await client.consumer.getmany()
            with pytest.raises(AssertionError):
                await client.consumer.getone("no partition")
        assert spans == []


class TestGetManyAlone:
    @asynchronous
    async def test_lists_are_lists_and_what_nobody_iterates_shares_a_span(
        self, client: Client, spans: Recorded
    ) -> None:
        async with client:
            for number in range(3):
                await client.send(b"%d" % number)
            polled: dict[Any, Any] = {}
            while not polled:
                polled = await client.consumer.getmany(timeout_ms=1000)
            assert type(polled) is dict
            ((partition, records),) = polled.items()
            assert partition == TopicPartition(client.topic, 0)
            assert isinstance(records, list)
            assert type(records[:1]) is list
            total = len(records)
            assert spans.consumers == []
            del polled, records
        (received,) = spans.consumers
        assert received.name == f"receive {client.topic}"
        assert tags(received)["messaging.batch.message_count"] == total
        assert len(received.links or ()) == total

    @asynchronous
    async def test_an_exception_in_the_body_is_the_records_failure(self, client: Client, spans: Recorded) -> None:
        async with client:
            await client.send(b"1")
            with pytest.raises(LookupError):
                async for _ in Many.loop(client, 1):  # type: ignore[arg-type]
                    pass
                await client.send(b"2")
                polled = await client.consumer.getmany(timeout_ms=5000)
                for record in next(iter(polled.values())):
                    await asyncio.sleep(0.01)
                    raise LookupError(str(record.offset))
            assert nothing_current()
        assert [span.failure.message for span in spans.consumers if span.failure] == ["1"]

    @asynchronous
    async def test_lists_iterated_by_two_tasks_at_once(self, client: Client, spans: Recorded) -> None:
        async def work(records: Any) -> None:
            for record in records:
                await asyncio.sleep(0.001)
                own_work(f"job {record.offset}")
            assert nothing_current()

        async with client:
            for _ in range(6):
                await client.send(b"v")
            tasks, seen = [], 0
            while seen < 6:
                for records in (await client.consumer.getmany(timeout_ms=1000, max_records=3)).values():
                    seen += len(records)
                    tasks.append(asyncio.create_task(work(records)))
            await asyncio.gather(*tasks)
        assert len(spans.consumers) == 6
        for processed in spans.consumers:
            (job,) = [span for span in spans if span.name == f"job {tags(processed)['offset']}"]
            assert is_child(job, processed)

    @asynchronous
    async def test_an_empty_one_makes_no_span(self, client: Client, spans: Recorded) -> None:
        """Nothing was received."""
        async with client:
            for _ in range(3):
                assert await client.consumer.getmany(timeout_ms=10) == {}
        assert spans == []


class TestBoth:
    @asynchronous
    async def test_the_lag_is_told_where_the_client_knows_it(self, client: Client, spans: Recorded) -> None:
        async with client:
            for _ in range(3):
                await client.send(b"v")
            client.consumer = await client.new_consumer()
            async for _ in client.loop(3):
                pass
        assert [tags(span)["kafka.lag"] for span in spans.consumers] == [2, 1, 0]

    @asynchronous
    async def test_what_start_makes_belongs_to_nobody(self, broker: str, topic: str, spans: Recorded) -> None:
        """Its tasks live on, and call the program's listeners."""
        seen: list[bool] = []

        class Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
            async def on_partitions_revoked(self, revoked: Any) -> None: ...

            async def on_partitions_assigned(self, assigned: Any) -> None:
                seen.append(nothing_current())

        async with Client(broker, topic) as found:
            made = AIOKafkaConsumer(bootstrap_servers=broker, group_id=topic)
            made.subscribe([topic], listener=Listener())
            with trace.get_tracer("program").start_as_current_span("request") as request:
                async with made:
                    assert trace.get_current_span() is request
                    await found.send(b"v")
                    while not seen:
                        await asyncio.sleep(0.01)
        assert seen[0]

    @pytest.mark.parametrize("pattern", ["topic-*", "other,topic-?*"])
    @asynchronous
    async def test_a_topic_that_is_excluded_is_left_alone(
        self, client: Client, spans: Recorded, monkeypatch: pytest.MonkeyPatch, pattern: str
    ) -> None:
        monkeypatch.setattr(topics, "_excluded", any_of(tuple(pattern.split(","))))
        stale = [("b3", b"kept"), ("mine", b"1")]
        async with client:
            await client.send(b"1", stale)
            batch = client.producer.create_batch()
            batch.append(key=None, value=b"2", timestamp=None)
            await (await client.producer.send_batch(batch, client.topic, partition=0))
            async for record in client.loop(1):
                assert nothing_current()
                assert list(record.headers) == stale
            taken = [record async for record in client.loop(1)]
            assert nothing_current()
            assert [(record.value, list(record.headers)) for record in taken] == [(b"2", [])]
        assert spans == []

    @asynchronous
    async def test_a_batch_whose_topic_is_not_excluded_has_its_span_and_headers_as_given_where_some_topic_is(
        self, client: Client, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The topic of a batch is known only when it is sent, after its records were filled in."""
        monkeypatch.setattr(topics, "_excluded", any_of(("another",)))
        async with client:
            batch = client.producer.create_batch()
            batch.append(key=None, value=b"1", timestamp=None)
            await (await client.producer.send_batch(batch, client.topic, partition=0))
            taken = [record async for record in client.loop(1)]
        assert [list(record.headers) for record in taken] == [[]]
        assert len(spans.producers) == 1

    @pytest.mark.parametrize("asked", [True, False])
    @asynchronous
    async def test_commits_are_told_where_they_are_asked_for(
        self, broker: str, topic: str, spans: Recorded, monkeypatch: pytest.MonkeyPatch, asked: bool
    ) -> None:
        monkeypatch.setattr(topics, "commits", asked)
        async with Client(broker, topic, group_id=topic, enable_auto_commit=False) as found:
            await found.send(b"1")
            await found.consumer.getone()
            await found.consumer.commit()
            monkeypatch.setattr(topics, "commits", False)
        assert [span.name for span in spans.clients] == (["commit"] if asked else [])
        if asked:
            assert tags(spans.clients[0])["messaging.consumer.group.name"] == topic

    @asynchronous
    async def test_a_long_consumer_does_not_grow(self, client: Client, spans: Recorded) -> None:
        """Records that have been processed are not held."""
        async with client:
            for _ in range(300):
                await client.producer.send(client.topic, b"v")
            await client.producer.flush()
            await settled()
            sizes = []
            for _ in range(3):
                async for _ in client.loop(100):
                    pass
                spans.clear()
                gc.collect()
                sizes.append(len(asyncio.current_task()._callbacks or ()) + _objects_of_autotrace())  # type: ignore[union-attr]
        assert sizes[0] == sizes[1] == sizes[2]

    def test_signatures_stay(self) -> None:
        for function in (SEND, AIOKafkaConsumer.getone, AIOKafkaConsumer.getmany, AIOKafkaConsumer.commit):
            assert inspect.signature(function) == inspect.signature(getattr(function, MARK))
            assert inspect.iscoroutinefunction(function)

    def test_twice_is_once(self) -> None:
        for module, function in (
            ("aiokafka.producer.producer", patch.producer),
            ("aiokafka.consumer.consumer", patch.consumer),
        ):
            plan = Plan()
            function(sys.modules[module], plan)
            plan.apply()
            assert plan._undo == []


def _objects_of_autotrace() -> int:
    """Objects of autotrace that are alive, but for the newest records, which carry() may still ask for."""
    kinds = ("ActiveRecord", "ConsumerSpan", "AsyncConsumerIterator", "FutureAcknowledgement", "Remaining")
    return sum(type(thing).__name__ in kinds for thing in gc.get_objects())
