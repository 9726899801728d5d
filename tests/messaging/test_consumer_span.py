"""Consumer spans without any library: which span is active when, and that nothing is left behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from opentelemetry import trace

from autotrace import containment
from autotrace.messaging import consumer_span, record_context
from autotrace.tracing import tracer
from autotrace.tracing.span import Span
from tests.messaging.fake_consumer import ADAPTER, Consumer, Record, current, records
from tests.recorded import Recorded, nothing_current, record, tags


class TestConsumers:
    def test_two_that_are_interleaved_disturb_each_other_in_nothing(self, spans: Recorded) -> None:
        one, other = Consumer(records(3)), Consumer([Record(number, 200 + number) for number in range(3)])
        for number in range(3):
            next(one)
            assert current() == 100 + number
            next(other)
            assert current() == 200 + number
        assert next(one, None) is None
        assert current() == 202
        assert next(other, None) is None
        assert nothing_current()
        assert sorted(span.parent_id for span in spans) == [100, 101, 102, 200, 201, 202]

    def test_one_within_the_other_gives_back_what_it_found(self, spans: Recorded) -> None:
        for outer in Consumer(records(2)):
            for inner in Consumer([Record(9, 209)]):
                assert current() == inner.producer
            assert current() == outer.producer
        assert nothing_current()

    def test_two_zipped_loops_leave_nothing(self, spans: Recorded) -> None:
        for _ in zip(Consumer(records(3)), Consumer(records(2)), strict=False):
            assert not nothing_current()
        assert nothing_current()
        assert len(spans) == 5

    def test_a_record_without_producer_is_no_child_of_another_consumers(self, spans: Recorded) -> None:
        one, other = Consumer(records(1)), Consumer([Record(1)])
        next(one), next(other)
        assert current() == 0
        other.consumer_span.close()
        assert current() == 100
        one.consumer_span.close()
        assert [span.parent_id for span in spans] == [0, 100]

    def test_a_running_span_of_the_programs_comes_back_when_a_record_is_left(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        next(consumer)
        with tracer.provider.get_tracer("program").start_as_current_span("batch") as batch:
            next(consumer)
            assert current() == 101
            consumer.consumer_span.close()
            assert trace.get_current_span() is batch
        Consumer([]).consumer_span.close()
        for _ in Consumer(records(1)):
            pass
        assert nothing_current()

    @pytest.mark.parametrize("failing", [True, False])
    def test_where_no_span_can_be_had_the_current_one_stays(
        self, spans: Recorded, monkeypatch: pytest.MonkeyPatch, failing: bool
    ) -> None:
        def none(*_: Any) -> None:
            if failing:
                raise RuntimeError("a defect of ours")

        one, other = Consumer(records(1)), Consumer([Record(1)])
        next(one)
        with monkeypatch.context() as patched:
            patched.setattr(tracer, "start", none)
            next(other)
        assert current() == 100
        one.consumer_span.close()
        assert bool(containment.failures) is failing
        containment.failures.clear()

    def test_interleaving_for_ever_keeps_no_chain_of_what_is_over(self, spans: Recorded) -> None:
        one, other = Consumer(records(500)), Consumer(records(500))
        for _ in range(500):
            next(one), next(other)
        del spans[:]
        gc.collect()
        assert len([thing for thing in gc.get_objects() if type(thing) is record_context.ActiveRecord]) < 10
        one.consumer_span.close()
        other.consumer_span.close()

    def test_a_consumer_that_is_collected_closes_its_record(self, spans: Recorded) -> None:
        consumer = Consumer(records(1))
        next(consumer)
        assert not nothing_current()
        del consumer
        assert nothing_current()
        assert len(spans) == 1

    def test_a_thread_that_ends_closes_its_record(self, spans: Recorded) -> None:
        consumer = Consumer(records(1))
        thread = threading.Thread(target=next, args=(consumer,))
        thread.start()
        thread.join()
        assert [span.parent_id for span in spans] == [100]

    def test_a_thread_that_ends_leaves_a_consumer_that_another_works_with(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        first, second = threading.Event(), threading.Event()

        def work() -> None:
            next(consumer)
            first.set()
            second.wait(10)

        thread = threading.Thread(target=work)
        thread.start()
        first.wait(10)
        next(consumer)
        second.set()
        thread.join()
        assert current() == 101
        consumer.consumer_span.close()

    def test_a_consumer_closed_by_another_thread_leaves_that_one_alone(self, spans: Recorded) -> None:
        consumer = Consumer(records(1))
        next(consumer)
        with tracer.provider.get_tracer("program").start_as_current_span("of the other thread"):
            pass
        thread = threading.Thread(target=consumer.consumer_span.close)
        thread.start()
        thread.join()
        assert len(spans.consumers) == 1
        next(consumer, None)
        tidy = Consumer(records(1))
        next(tidy), tidy.consumer_span.close()  # the first call here that finds the closed record current removes it
        assert nothing_current()

    def test_a_record_that_is_open_at_exit_is_not_lost(self) -> None:
        program = (
            "from autotrace.tracing.span import Span\n"
            "Span.sink = staticmethod(lambda span: print('ended'))\n"
            "from tests.messaging.fake_consumer import Consumer, records\n"
            "consumer = Consumer(records(1)); next(consumer); print('bye')"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("bye\nended\n", "")

    def test_a_forked_child_leaves_its_parents_record_to_the_parent(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        next(consumer)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            ended: list[Span] = []
            Span.sink = staticmethod(ended.append)  # the exporter's pipeline, where it runs, has made it its own again
            next(consumer)
            of_the_parent = len(ended)
            consumer.consumer_span.close()
            os.write(write, b"%d %d" % (of_the_parent, len(ended)))
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 9) == b"0 1"
        os.close(read), os.close(write)
        consumer.consumer_span.close()
        assert len(spans) == 1

    def test_what_is_handled_while_the_consumer_is_closed_is_the_records_failure(self, spans: Recorded) -> None:
        consumer = Consumer(records(1))
        with pytest.raises(LookupError):
            try:
                next(consumer)
                raise LookupError("no such order")
            finally:
                consumer.consumer_span.close_in_handler()
        assert tags(spans.one())["error.type"] == "LookupError"

    def test_what_was_handled_before_the_record_came_is_not(self, spans: Recorded) -> None:
        consumer = Consumer(records(1))
        try:
            raise LookupError("connection lost")
        except LookupError:
            next(consumer)
            consumer.consumer_span.close_in_handler()
        assert "error" not in tags(spans.one())

    def test_leaving_the_program_is_no_failure_of_the_record(self, spans: Recorded) -> None:
        def leave() -> None:
            raise SystemExit(0)

        with pytest.raises(SystemExit):
            for _ in Consumer(records(1)):
                leave()
        assert "error" not in tags(spans.one())

    def test_a_suppressed_record_has_no_span(self, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tracer, "start", lambda *_: None)
        for _ in Consumer(records(2)):
            assert nothing_current()
        assert spans == []

    @pytest.mark.parametrize("name", ["facts", "key", "headers", "extract"])
    def test_a_record_is_delivered_even_if_its_adapter_fails(self, name: str) -> None:
        def fails(_: Any) -> Any:
            raise RuntimeError("a defect of ours")

        consumer = Consumer(records(2))
        consumer.consumer_span.adapter = ADAPTER._replace(**{name: fails})
        with record():
            assert [found.number for found in consumer] == [0, 1]
        assert nothing_current()
        containment.failures.clear()

    def test_a_hundred_thousand_records_leave_no_more_spans_than_are_remembered(self, spans: Recorded) -> None:
        gc.collect()
        before = sum(isinstance(thing, Span) for thing in gc.get_objects())
        for number, _ in enumerate(Consumer([Record(number, number + 1) for number in range(100_000)])):
            if number % 1000 == 0:
                spans.clear()
        spans.clear()
        gc.collect()
        after = sum(isinstance(thing, Span) for thing in gc.get_objects())
        assert after - before <= 2 * consumer_span.recent_records.half
