"""Promises of every patched asyncio messaging client: a class to inherit, with a `client` that drives the library."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import pytest
from opentelemetry import trace

from autotrace.propagation import carriers
from autotrace.tracing import propagate, tracer
from tests.contracts.messaging import BY_HAND, own_work
from tests.recorded import Recorded, is_child, nothing_current, tags


class Client(Protocol):
    """One topic of its own, empty at first. Made and closed within a running loop (`async with`)."""

    topic: str

    async def send(self, value: bytes, headers: list[tuple[str, Any]] | None = None) -> None:
        """Send a record, through the patched client, and wait for the broker's answer."""

    async def send_untraced(self, value: bytes, headers: list[tuple[str, bytes]]) -> None: ...

    def loop(self, count: int) -> AsyncIterator[Any]:
        """What the program's `async for` runs over; it ends by itself after that many records."""


def asynchronous(test: Callable[..., Any]) -> Callable[..., None]:
    """An `async def` test, run in a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class AsyncMessagingPromises:
    @pytest.fixture
    def client(self) -> Any:
        """Something to `async with` that gives a Client."""
        raise NotImplementedError

    @asynchronous
    async def test_a_record_is_processed_in_its_producers_trace(self, client: Any, spans: Recorded) -> None:
        """Work in the body is a child of the record's span."""
        async with client as found:
            await found.send(b"1")
            await found.send(b"2")
            async for record in found.loop(2):
                await asyncio.sleep(0)
                own_work(record.value.decode())
        assert (len(spans.producers), len(spans.consumers)) == (2, 2)
        for sent, processed, name in zip(spans.producers, spans.consumers, "12", strict=True):
            (work,) = [span for span in spans if span.name == name]
            assert is_child(processed, sent)
            assert is_child(work, processed)

    @asynchronous
    async def test_a_trace_that_the_program_passes_on_by_hand_goes_on(self, client: Any, spans: Recorded) -> None:
        """The active span wins over it."""
        async with client as found:
            await found.send(b"1", [("traceparent", BY_HAND)])
            with trace.get_tracer("program").start_as_current_span("own") as own:
                await found.send(b"2", [("traceparent", BY_HAND)])
            headers = [dict(record.headers) async for record in found.loop(2)]
        first, second = spans.producers
        assert (first.trace_id, first.parent_id) == (7, 9)
        assert is_child(second, own)  # type: ignore[arg-type]
        assert [found["traceparent"] for found in headers] == [
            b"00-%032x-%016x-01" % (sent.trace_id, sent.span_id) for sent in (first, second)
        ]

    @asynchronous
    async def test_both_sides_name_the_record(self, client: Any, spans: Recorded) -> None:
        async with client as found:
            await found.send(b"1")
            async for _ in found.loop(1):
                pass
            topic = found.topic
        (sent,), (processed,) = spans.producers, spans.consumers
        assert (sent.name, processed.name) == (f"send {topic}", f"process {topic}")
        for span in (sent, processed):
            said = tags(span)
            assert said["messaging.system"] == "kafka"
            assert said["message_bus.destination"] == said["messaging.destination.name"] == topic
            assert said["messaging.kafka.offset"] == 0
            assert said["messaging.destination.partition.id"] == str(said["partition"])
            assert said["peer.service"] == "kafka"
            assert said["peer.address"] == f"{said['peer.hostname']}:{said['peer.port']}"
            assert "error" not in said
        assert 0 <= tags(processed)["kafka.message.age_ms"] < 600_000

    @asynchronous
    async def test_nothing_is_current_after_the_loop(self, client: Any, spans: Recorded) -> None:
        async with client as found:
            await found.send(b"1")
            async for _ in found.loop(1):
                assert not nothing_current()
            assert nothing_current()

    @asynchronous
    async def test_a_task_of_the_body_keeps_the_record_and_no_other_task_gets_it(
        self, client: Any, spans: Recorded
    ) -> None:
        """Consumer in one task, work in others: also when the consumer is records ahead."""
        finished = asyncio.Event()

        async def work(name: str) -> None:
            await finished.wait()
            own_work(f"job {name}")

        async def bystander() -> None:
            while not finished.is_set():
                assert nothing_current()
                await asyncio.sleep(0.001)

        async with client as found:
            beside = asyncio.create_task(bystander())
            for number in range(3):
                await found.send(b"%d" % number)
            jobs = []
            async for record in found.loop(3):
                jobs.append(asyncio.create_task(work(record.value.decode())))
            finished.set()
            await asyncio.gather(beside, *jobs)
        for number, processed in enumerate(spans.consumers):
            (job,) = [span for span in spans if span.name == f"job {number}"]
            assert is_child(job, processed)

    @asynchronous
    async def test_a_task_that_outlives_its_record_may_consume_itself(self, client: Any, spans: Recorded) -> None:
        """And then it is back at its record: what was carried to it on purpose stays."""
        async with client as found:
            await found.send(b"outer")

            async def relay() -> None:
                await asyncio.sleep(0)
                await found.send(b"inner")
                async for _ in found.loop(1):
                    own_work("in the inner")
                own_work("after the inner")

            async for _ in found.loop(1):
                task = asyncio.create_task(relay())
            await task
        outer, inner = spans.consumers
        first, second = spans.producers
        assert is_child(outer, first)
        assert is_child(second, outer)
        assert is_child(inner, second)
        for name, parent in (("in the inner", inner), ("after the inner", outer)):
            (work,) = [span for span in spans if span.name == name]
            assert is_child(work, parent)

    @asynchronous
    async def test_a_relay_makes_a_hop_of_its_own(self, client: Any, spans: Recorded) -> None:
        """A record's headers, sent on, hold one trace context: the new one."""
        async with client as found:
            await found.send(b"1", [("mine", b"kept"), ("mine", b"too")])
            async for record in found.loop(1):
                before = list(record.headers)
                await found.send(b"2", record.headers)
                assert list(record.headers) == before
            async for record in found.loop(1):
                names = [name.lower() for name, _ in record.headers]
        (_, second), (processed, last) = spans.producers, spans.consumers
        assert is_child(second, processed)
        assert is_child(last, second)
        assert names[:2] == ["mine", "mine"]
        assert len(set(names[2:])) == len(names[2:])

    @asynchronous
    async def test_the_callers_headers_are_not_touched(self, client: Any, spans: Recorded) -> None:
        headers = [("mine", b"1")]
        received = []
        async with client as found:
            for _ in range(2):
                await found.send(b"1", headers)
            async for record in found.loop(2):
                received.append(record.headers)
        assert headers == [("mine", b"1")]
        for given, sent in zip(received, spans.producers, strict=True):
            assert given[0] == ("mine", b"1")
            assert dict(given)["X-B3-SpanId"] == b"%016x" % sent.span_id

    @asynchronous
    async def test_garbage_in_headers_is_not_the_programs_problem(self, client: Any, spans: Recorded) -> None:
        """Headers that are no UTF-8 are passed over, not raised out of the program's loop."""
        garbage = [("traceparent", b"\xff\xfe"), ("b3", b"\x00"), ("X-B3-TraceId", b"not hex"), ("", b"")]
        async with client as found:
            await found.send_untraced(b"1", garbage)
            async for record in found.loop(1):
                assert list(record.headers) == garbage
        assert spans.consumers[0].parent_id == 0

    @asynchronous
    async def test_a_record_without_trace_begins_one_or_continues_the_programs(
        self, client: Any, spans: Recorded
    ) -> None:
        async with client as found:
            for _ in range(2):
                await found.send_untraced(b"1", [])
            async for _ in found.loop(1):
                pass
            with trace.get_tracer("program").start_as_current_span("batch") as batch:
                async for _ in found.loop(1):
                    pass
                assert trace.get_current_span() is batch
        alone, within = spans.consumers
        assert alone.parent_id == 0
        assert within.parent_id == batch.get_span_context().span_id

    @pytest.mark.parametrize(
        ("owner", "name"),
        [(tracer, "start"), (propagate, "inject_kafka"), (carriers, "extract_kafka")],
        ids=["start", "inject_kafka", "extract_kafka"],
    )
    @asynchronous
    async def test_a_failure_of_ours_changes_nothing(
        self, client: Any, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
    ) -> None:
        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a defect of ours")

        monkeypatch.setattr(owner, name, fails)
        async with client as found:
            await found.send(b"1", [("mine", b"1")])
            received = [record async for record in found.loop(1)]
        assert [record.value for record in received] == [b"1"]
        assert received[0].headers[0] == ("mine", b"1")
        assert nothing_current()
