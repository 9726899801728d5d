"""Consumer spans without any library: which span is active when, and that nothing is left behind."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from opentelemetry import trace

import autotrace
from autotrace import containment
from autotrace.messaging import carry, consumer_span, record_context
from autotrace.messaging.batches import traced_list
from autotrace.messaging.consumer import ConsumerIterator, ConsumerState
from autotrace.messaging.recent import Recent
from autotrace.messaging.record_adapter import RecordAdapter
from autotrace.propagation.context import Remote
from autotrace.semantics.family import SharedFacts
from autotrace.tracing import run_in_context, tracer
from autotrace.tracing.span import Span
from tests.recorded import Recorded, nothing_current, record, tags


class Record(NamedTuple):
    """A producer's span id stands for the headers; 0 for none."""

    number: int
    producer: int = 0


ADAPTER = RecordAdapter(
    lambda record: {"topic": "t", "offset": record.number},
    lambda record: ("t", record.number),
    lambda record: record.producer,
    lambda producer: Remote(7, producer, decision=True) if producer else None,
)
SHARED = SharedFacts({"operation": "process"})


class Consumer:
    """As a patched client is: next() opens the consumer span."""

    def __init__(self, records: list[Record]) -> None:
        self.records = iter(records)
        self.state = ConsumerState(ADAPTER, SHARED)
        self.consumer_span = self.state.consumer_span

    def __iter__(self) -> Any:
        return ConsumerIterator(self, self.state)

    def __next__(self) -> Record:
        self.consumer_span.close()
        record = next(self.records)
        self.consumer_span.open_in_thread(record)
        return record


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.setitem(carry.adapters, Record, ADAPTER)
    monkeypatch.setattr(consumer_span, "recent_records", Recent(1024))
    containment.failures.clear()
    with record() as found:
        yield found
    assert containment.failures == {}


def records(count: int) -> list[Record]:
    return [Record(number, 100 + number) for number in range(count)]


def current() -> int:
    """The producer's span id of the active record; 0 for none."""
    span = trace.get_current_span()
    return span.parent_id if isinstance(span, Span) else 0


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
            "from tests.messaging.test_consumer_span import Consumer, records\n"
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


class TestLoop:
    def test_is_an_iterator_and_looks_like_the_consumer(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        loop = iter(consumer)
        assert isinstance(loop, Consumer)
        assert iter(loop) is loop
        assert loop.consumer_span is consumer.consumer_span
        assert next(loop).number == 0
        assert current() == 100
        assert not hasattr(loop, "no_such_thing")
        del loop
        assert nothing_current()
        assert next(consumer).number == 1
        consumer.consumer_span.close()

    def test_dropped_late_it_does_not_close_a_record_that_is_not_its_own(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        loop = iter(consumer)
        next(loop), next(consumer)
        del loop
        assert current() == 101
        consumer.consumer_span.close()

    def test_only_a_for_loop_notices_the_end_itself(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        for _ in consumer:
            assert consumer.consumer_span.in_for_loop
            break
        next(consumer)
        assert not consumer.consumer_span.in_for_loop
        consumer.consumer_span.close()

    def test_in_a_generator_that_is_left_by_an_exception(self, spans: Recorded) -> None:
        def numbers() -> Iterator[int]:
            for found in Consumer(records(2)):
                yield found.number

        with pytest.raises(LookupError):
            for _ in numbers():
                raise LookupError("outside")
        for _ in numbers():
            break
        assert nothing_current()
        failed, left = spans
        assert tags(failed)["error.type"] == "LookupError"
        assert "error" not in tags(left)

    def test_raising_what_the_consumer_raises(self, spans: Recorded) -> None:
        class Broken(Consumer):
            def __next__(self) -> Record:
                raise ConnectionError("from the library")

        with pytest.raises(ConnectionError, match="from the library"):
            for _ in Broken([]):
                pass

    def test_an_exception_from_c_code_is_the_records_failure(self, spans: Recorded) -> None:
        """Before 3.12, C code has made no exception object yet when the loop is left: only the failure is known."""
        with pytest.raises(ZeroDivisionError):
            for _ in Consumer(records(1)):
                1 / 0  # noqa: B018
        expected = "ZeroDivisionError" if sys.version_info >= (3, 12) else "Exception"
        assert tags(spans.one())["error.type"] == expected


def traced(count: int) -> list[Any]:
    return traced_list(records(count), ADAPTER, SHARED, {"topic": "t", "operation": "receive"})


class TestBatch:
    def test_is_the_list_in_all_but_iteration(self, spans: Recorded) -> None:
        found = traced(3)
        plain = records(3)
        assert isinstance(found, list)
        assert found == plain
        assert repr(found) == repr(plain)
        assert (len(found), found[0], found[-1], found[1:]) == (3, plain[0], plain[2], plain[1:])
        assert type(found[1:]) is type(found + plain) is type(copy.copy(found)) is type(found.copy()) is list
        assert pickle.loads(pickle.dumps(found)) == plain == copy.deepcopy(found)
        assert plain[1] in found
        assert found.index(plain[2]) == 2
        assert list(reversed(found)) == plain[::-1]
        assert spans == []
        found.append(Record(9))
        assert found.pop().number == 9

    def test_iterated_each_record_is_current_in_turn(self, spans: Recorded) -> None:
        for found in traced(3):
            assert current() == found.producer
        assert nothing_current()
        assert [span.parent_id for span in spans] == [100, 101, 102]
        assert {span.name for span in spans} == {"process t"}

    def test_at_its_end_nothing_is_current_even_while_the_iterator_is_held(self, spans: Recorded) -> None:
        held = iter(traced(2))
        for _ in held:
            pass
        assert nothing_current()
        assert next(held, None) is None

    def test_left_early_closes_the_record_and_the_rest_shares_a_span(self, spans: Recorded) -> None:
        found = traced(3)
        for _ in found:
            break
        assert nothing_current()
        assert [span.parent_id for span in spans] == [100]
        del found
        first, rest = spans
        assert (first.name, rest.name) == ("process t", "receive t")
        assert tags(rest)["messaging.batch.message_count"] == 2
        assert [link.span_id for link in rest.links or ()] == [101, 102]

    def test_not_iterated_all_records_share_a_span_with_a_link_to_each_producer(self, spans: Recorded) -> None:
        found = traced(3)
        assert found[0].number == 0
        started = found._remaining.start_time  # type: ignore[attr-defined]
        del found
        shared = spans.one()
        assert shared.start_time == started
        assert shared.parent_id == 100
        assert [link.span_id for link in shared.links or ()] == [100, 101, 102]

    def test_more_producers_than_links_are_not_even_read(self, spans: Recorded) -> None:
        read = []

        def extract(producer: int) -> Remote:
            read.append(producer)
            return Remote(7, producer)

        del traced_list(records(500), ADAPTER._replace(extract=extract), SHARED, {"topic": "t"})[:0]
        assert tags(spans.one())["messaging.batch.message_count"] == 500
        assert len(spans.one().links or ()) == len(read) == 128

    def test_a_second_pass_goes_on_with_the_spans_of_the_first(self, spans: Recorded) -> None:
        found = traced(2)
        for _ in found:
            pass
        for again, span in zip(found, list(spans), strict=True):
            assert trace.get_current_span() is span
            assert current() == again.producer
        assert nothing_current()
        assert len(spans) == 2

    def test_passed_to_threads_each_has_its_own_scope(self, spans: Recorded) -> None:
        barrier = threading.Barrier(2)
        wrong = []

        def work(found: list[Any]) -> None:
            for each in found:
                barrier.wait(10)
                if current() != each.producer:
                    wrong.append(each)

        threads = [threading.Thread(target=work, args=(traced(5),)) for _ in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert wrong == []
        assert len(spans) == 10

    def test_mutated_while_iterated_it_behaves_as_a_list(self, spans: Recorded) -> None:
        found = traced(4)
        seen = []
        for each in found:
            seen.append(each.number)
            found.remove(each)
        assert seen == [0, 2]
        assert [each.number for each in found] == [1, 3]
        del found
        assert len(spans) == 4

    def test_an_iterator_knows_its_length(self, spans: Recorded) -> None:
        assert iter(traced(3)).__length_hint__() == 3  # type: ignore[attr-defined]


class TestCarry:
    def test_resumes_the_record_in_another_thread_after_its_end(self, spans: Recorded) -> None:
        (only,) = list(Consumer(records(1)))
        seen = []

        def work() -> None:
            with autotrace.carry(only) as found:  # type: ignore[operator]
                seen.extend([found, current()])
            seen.append(nothing_current())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [only, 100, True]
        assert seen[0] is only
        assert len(spans) == 1

    def test_gives_back_what_it_found_even_in_a_thread_that_works_for_another_record(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        first = next(consumer)
        context = run_in_context.capture_context()
        next(consumer)
        seen = []

        def work() -> None:
            with carry.carry(first):
                pass
            seen.append(current())

        thread = threading.Thread(target=run_in_context.run_in_context, args=(context, work))
        thread.start()
        thread.join()
        consumer.consumer_span.close()
        assert seen == [100]

    def test_of_a_record_that_was_not_seen_is_nothing(self, spans: Recorded) -> None:
        for unseen in (Record(99), object(), None):
            with carry.carry(unseen) as found:
                assert found is unseen
                assert nothing_current()

    def test_lets_exceptions_through(self, spans: Recorded) -> None:
        (only,) = list(Consumer(records(1)))
        with pytest.raises(LookupError), carry.carry(only):
            raise LookupError
        assert nothing_current()

    def test_remembers_at_least_a_thousand(self, spans: Recorded) -> None:
        found = list(Consumer(records(1500)))
        with carry.carry(found[500]):
            assert current() == 600


def test_recent_keeps_the_newest_and_forgets_the_rest() -> None:
    recent = Recent(10)
    for number in range(100):
        recent.put(number, number)
        assert recent.get(number) == number
    assert [number for number in range(100) if recent.get(number) is not None] == list(range(90, 100))
    recent.put("more", "more")
    assert recent.get(95) == 95
    assert len(recent.young) + len(recent.old) <= 20
