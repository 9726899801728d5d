"""autotrace.carry(record): the record's span is active in its body, and nothing else changes."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

import autotrace
from autotrace.messaging import carry, consumer_span
from autotrace.patching import Plan
from autotrace.semantics.family import SharedFacts
from autotrace.tracing import run_in_context
from tests.messaging.fake_consumer import ADAPTER, Consumer, Record, current, records
from tests.recorded import Recorded, nothing_current


def recent_records_of() -> Any:
    return consumer_span.recent_records


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

    def test_tells_records_apart_that_mirrored_clusters_number_alike(self, spans: Recorded) -> None:
        here, there = Consumer([Record(1, 100), Record(2)]), Consumer([Record(1, 200), Record(2)])
        there.consumer_span.shared = SharedFacts({})
        first, second = next(here), next(there)
        next(there), next(here)
        with carry.carry(first):
            assert current() == 100
        with carry.carry(second):
            assert current() == 200
        with carry.carry(copy.deepcopy([second])[0]._replace(producer=3)):
            assert current() == 200, "a copy is of the newest"
        here.consumer_span.close(), there.consumer_span.close()

    def test_remembers_one_span_of_a_record_that_one_consumer_reads_again_and_again(self, spans: Recorded) -> None:
        for number in range(100):
            last = Record(1, 100 + number)
            for _ in Consumer([last]):
                pass
        (kept,) = recent_records_of().young.values()
        assert kept[3] == ()
        with carry.carry(last):
            assert current() == 199

    def test_an_object_that_is_dropped_early_leaves_nothing_active(self, spans: Recorded) -> None:
        (only,) = list(Consumer(records(1)))
        entered = carry.carry(only)
        entered.__enter__()
        del entered
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

    def test_a_type_of_records_is_registered_once_and_until_the_patch_is_undone(self) -> None:
        first, second = Plan(), Plan()
        for plan in (first, second):
            carry.register(plan, Record, ADAPTER)
            plan.apply()
        second.undo()
        assert carry.adapters[Record] is ADAPTER
        first.undo()
        assert Record not in carry.adapters
