"""Promises of every patched messaging client: a class to inherit, with a `client` fixture that drives the library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import pytest
from opentelemetry import context, trace

from autotrace.propagation import carriers
from autotrace.tracing import propagate, tracer
from autotrace.tracing.span import FOLLOWS_FROM
from tests.recorded import Recorded, is_child, nothing_current, tags

BY_HAND = b"00-%032x-%016x-01" % (7, 9)
"""A traceparent that the program has copied from somewhere."""


class Client(Protocol):
    """One topic of its own, empty at first."""

    topic: str

    def send(self, value: bytes, headers: list[tuple[str, Any]] | None = None) -> None:
        """Send a record, through the patched client, and wait for the broker's answer."""

    def send_untraced(self, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """The same as from a process without autotrace: the headers arrive as they are."""

    def loop(self) -> Iterable[Any]:
        """What the program's `for` runs over; it ends by itself when no more records come."""

    def value(self, record: Any) -> bytes: ...

    def headers(self, record: Any) -> list[tuple[str, bytes]]: ...


def own_work(name: str) -> trace.Span:
    """A span that the program makes with the OpenTelemetry API, ended."""
    span = trace.get_tracer("program").start_span(name)
    span.end()
    return span


class MessagingPromises:
    @pytest.fixture
    def client(self) -> Client:
        raise NotImplementedError

    def test_a_record_is_processed_in_its_producers_trace(self, client: Client, spans: Recorded) -> None:
        """Kiali and Jaeger draw nothing for a new trace with a link."""
        client.send(b"1")
        for _ in client.loop():
            pass
        (sent,), (processed,) = spans.producers, spans.consumers
        assert is_child(processed, sent)
        assert [tuple(link) for link in processed.links or ()] == [(sent.trace_id, sent.span_id, FOLLOWS_FROM)]

    def test_a_trace_that_the_program_passes_on_by_hand_goes_on(self, client: Client, spans: Recorded) -> None:
        """Its own header is replaced by the producer span's, a child of what the program has named."""
        client.send(b"1", [("traceparent", BY_HAND), ("mine", b"kept")])
        seen = [client.headers(record) for record in client.loop()]
        (sent,), (processed,) = spans.producers, spans.consumers
        assert (sent.trace_id, sent.parent_id) == (7, 9)
        assert is_child(processed, sent)
        values = [value for name, value in seen[0] if name == "traceparent"]
        assert values == [b"00-%032x-%016x-01" % (7, sent.span_id)]
        assert ("mine", b"kept") in seen[0]

    @pytest.mark.parametrize("header", [("traceparent", b"00-nonsense"), ("b3", b""), ("mine", b"1")])
    def test_headers_without_a_valid_trace_begin_one(
        self, client: Client, spans: Recorded, header: tuple[str, bytes]
    ) -> None:
        client.send(b"1", [header])
        assert spans.one().parent_id == 0

    def test_a_decision_by_hand_counts(self, client: Client, spans: Recorded) -> None:
        client.send(b"1", [("b3", b"0")])
        assert spans == [], "not sampled, as the program has said"

    def test_the_active_span_wins_over_a_trace_by_hand(self, client: Client, spans: Recorded) -> None:
        with trace.get_tracer("program").start_as_current_span("own") as own:
            client.send(b"1", [("traceparent", BY_HAND)])
        assert is_child(spans.producers[0], own)  # type: ignore[arg-type]

    def test_both_sides_name_the_record(self, client: Client, spans: Recorded) -> None:
        """Offset 0 is 0, not "unknown"."""
        client.send(b"1")
        for _ in client.loop():
            pass
        (sent,), (processed,) = spans.producers, spans.consumers
        assert (sent.name, processed.name) == (f"send {client.topic}", f"process {client.topic}")
        for span in (sent, processed):
            found = tags(span)
            assert found["messaging.system"] == "kafka"
            assert found["message_bus.destination"] == found["messaging.destination.name"] == client.topic
            assert found["messaging.kafka.offset"] == 0
            assert found["messaging.destination.partition.id"] == str(found["partition"])
            assert found["peer.service"] == "kafka"
            assert found["peer.address"] == f"{found['peer.hostname']}:{found['peer.port']}"
            assert "error" not in found
        assert 0 <= tags(processed)["kafka.message.age_ms"] < 600_000

    def test_work_in_the_body_is_a_child_of_the_record(self, client: Client, spans: Recorded) -> None:
        """The consumer span does not end before the body of the loop begins."""
        client.send(b"1")
        client.send(b"2")
        for record in client.loop():
            own_work(client.value(record).decode())
        assert len(spans.consumers) == 2
        for sent, processed, name in zip(spans.producers, spans.consumers, "12", strict=True):
            (work,) = [span for span in spans if span.name == name]
            assert is_child(processed, sent)
            assert is_child(work, processed)

    def test_nothing_is_current_after_the_loop(self, client: Client, spans: Recorded) -> None:
        """The last record's span does not stay active."""
        client.send(b"1")
        for _ in client.loop():
            assert not nothing_current()
        assert nothing_current()

    def test_nothing_is_current_after_break(self, client: Client, spans: Recorded) -> None:
        """The last record's span does not stay active."""
        client.send(b"1")
        client.send(b"2")
        for _ in client.loop():
            break
        assert nothing_current()
        (processed,) = spans.consumers
        assert "error" not in tags(processed)

    def test_nothing_is_current_after_return(self, client: Client, spans: Recorded) -> None:
        client.send(b"1")

        def first() -> Any:
            for record in client.loop():
                return record

        assert client.value(first()) == b"1"
        assert nothing_current()
        assert len(spans.consumers) == 1

    def test_an_exception_in_the_body_is_the_records_failure(self, client: Client, spans: Recorded) -> None:
        """The span tells what the program died of, and does not stay active."""
        client.send(b"1")
        with pytest.raises(LookupError, match="no such order"):
            for _ in client.loop():
                raise LookupError("no such order")
        assert nothing_current()
        (processed,) = spans.consumers
        assert tags(processed)["error.type"] == "LookupError"
        assert processed.failure is not None
        assert processed.failure.message == "no such order"

    def test_an_exception_that_the_body_handles_is_not(self, client: Client, spans: Recorded) -> None:
        client.send(b"1")
        kept = []
        for _ in client.loop():
            try:
                raise LookupError("handled")
            except LookupError as error:
                kept.append(error)
            break
        (processed,) = spans.consumers
        assert "error" not in tags(processed)

    def test_a_generator_around_the_loop_is_as_good(self, client: Client, spans: Recorded) -> None:
        client.send(b"1")
        client.send(b"2")

        def values() -> Iterable[bytes]:
            for record in client.loop():
                yield client.value(record)

        for value in values():
            own_work(value.decode())
        assert nothing_current()
        for name, processed in zip("12", spans.consumers, strict=True):
            (work,) = [span for span in spans if span.name == name]
            assert is_child(work, processed)

    def test_a_generator_that_is_left_closes_its_record(self, client: Client, spans: Recorded) -> None:
        client.send(b"1")
        client.send(b"2")

        def values() -> Iterable[bytes]:
            for record in client.loop():
                yield client.value(record)

        with pytest.raises(LookupError):
            for _ in values():
                raise LookupError("outside of the generator")
        assert nothing_current()
        (processed,) = spans.consumers
        assert tags(processed)["error.type"] == "LookupError"

    @pytest.mark.parametrize(
        ("relation", "same_trace", "link"),
        [("follows_from", True, dict(FOLLOWS_FROM)), ("child_of", True, None), ("link", False, {})],
    )
    def test_the_relation_to_the_producer_is_a_setting(
        self,
        client: Client,
        spans: Recorded,
        monkeypatch: pytest.MonkeyPatch,
        relation: str,
        same_trace: bool,
        link: dict[str, Any] | None,
    ) -> None:
        monkeypatch.setattr(tracer, "consumer_relation", relation)
        client.send(b"1")
        for _ in client.loop():
            pass
        (sent,), (processed,) = spans.producers, spans.consumers
        assert is_child(processed, sent) is same_trace
        assert (processed.parent_id != 0) is same_trace
        expected = [] if link is None else [(sent.trace_id, sent.span_id, link)]
        assert [tuple(found) for found in processed.links or ()] == expected

    def test_a_relay_makes_a_hop_of_its_own(self, client: Client, spans: Recorded) -> None:
        """A record's headers, sent on, hold one trace context: the new one."""
        client.send(b"1", [("mine", b"kept"), ("mine", b"too")])
        seen = []
        for record in client.loop():
            seen.append(record)
            if client.value(record) == b"1":
                before = list(client.headers(record))
                client.send(b"2", client.headers(record))
                assert client.headers(record) == before
        first, second = spans.producers
        processed, last = spans.consumers
        assert is_child(second, processed)
        assert is_child(last, second)
        names = [name.lower() for name, _ in client.headers(seen[1])]
        assert names[:2] == ["mine", "mine"]
        assert len(set(names[2:])) == len(names[2:])
        assert first.trace_id == last.trace_id

    def test_the_callers_headers_are_not_touched(self, client: Client, spans: Recorded) -> None:
        """A list that is used again would carry two contexts if ours were appended to it."""
        headers = [("mine", b"1")]
        for _ in range(2):
            client.send(b"1", headers)
        assert headers == [("mine", b"1")]
        received = [client.headers(record) for record in client.loop()]
        for found, sent in zip(received, spans.producers, strict=True):
            assert found[0] == ("mine", b"1")
            assert dict(found)["X-B3-SpanId"] == b"%016x" % sent.span_id

    def test_trace_headers_are_found_in_any_case_and_the_last_counts(self, client: Client, spans: Recorded) -> None:
        """opentracing-kafka-client appends its headers, so duplicates are normal."""
        client.send_untraced(
            b"1",
            [
                ("x-b3-traceid", b"a" * 32),
                ("X-B3-TRACEID", b"b" * 32),
                ("x-b3-SpanId", b"1" * 16),
                ("X-B3-SpanId", b"2" * 16),
                ("X-B3-Sampled", b"1"),
            ],
        )
        for _ in client.loop():
            pass
        (processed,) = spans.consumers
        assert (processed.trace_id, processed.parent_id) == (int("b" * 32, 16), int("2" * 16, 16))

    def test_garbage_in_headers_is_not_the_programs_problem(self, client: Client, spans: Recorded) -> None:
        """Headers that are no UTF-8 are passed over, not raised out of the program's loop."""
        garbage = [
            ("traceparent", b"\xff\xfe"),
            ("b3", b"\x00"),
            ("X-B3-TraceId", b"not hex"),
            ("uber-trace-id", b""),
            ("", b""),
            ("x_datadog_kafka_produced", b"\x00\x01\x02\x03\x04\x05\x06\x07"),
        ]
        client.send_untraced(b"1", garbage)
        received = [client.headers(record) for record in client.loop()]
        assert received == [garbage]
        (processed,) = spans.consumers
        assert processed.parent_id == 0

    def test_a_record_without_trace_begins_one_or_continues_the_programs(self, client: Client, spans: Recorded) -> None:
        client.send_untraced(b"1", [])
        client.send_untraced(b"2", [])
        with trace.get_tracer("program").start_as_current_span("batch") as batch:
            for _ in client.loop():
                pass
            assert trace.get_current_span() is batch
        first, second = spans.consumers
        assert first.parent_id == second.parent_id == batch.get_span_context().span_id

    def test_no_record_is_the_parent_of_the_next(self, client: Client, spans: Recorded) -> None:
        """Even if the program forgets to detach a span that it attached in the body. It does not outlive the loop."""
        client.send_untraced(b"1", [])
        client.send_untraced(b"2", [])
        for _ in client.loop():
            forgotten = trace.get_tracer("program").start_span("forgotten")
            context.attach(trace.set_span_in_context(forgotten))
            forgotten.end()
        first, second = spans.consumers
        assert first.parent_id == second.parent_id == 0
        assert first.trace_id != second.trace_id
        assert nothing_current()

    @pytest.mark.parametrize(
        ("owner", "name"),
        [(tracer, "start"), (propagate, "inject_kafka"), (carriers, "extract_kafka")],
        ids=["start", "inject_kafka", "extract_kafka"],
    )
    def test_a_failure_of_ours_changes_nothing(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
    ) -> None:
        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a defect of ours")

        monkeypatch.setattr(owner, name, fails)
        client.send(b"1", [("mine", b"1")])
        received = list(client.loop())
        assert [client.value(record) for record in received] == [b"1"]
        assert client.headers(received[0])[0] == ("mine", b"1")
        assert nothing_current()
