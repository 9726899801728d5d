"""Lists of records without any library: they stay lists, and each record has one span."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

from opentelemetry import trace

from autotrace.messaging.batches import traced_list
from autotrace.propagation.context import Remote
from tests.messaging.fake_consumer import ADAPTER, SHARED, Record, current, records
from tests.recorded import Recorded, nothing_current, tags


def traced(count: int) -> list[Any]:
    return traced_list(records(count), ADAPTER, SHARED, {"topic": "t", "operation": "receive"})


class TestTracedList:
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

    def test_passed_to_threads_each_has_its_own_span(self, spans: Recorded) -> None:
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
