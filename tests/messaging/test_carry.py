"""autotrace.carry(record): the record's span is active in its body, and nothing else changes."""

from __future__ import annotations

import threading

import pytest

import autotrace
from autotrace.messaging import carry
from autotrace.patching import Plan
from autotrace.tracing import run_in_context
from tests.messaging.fake_consumer import ADAPTER, Consumer, Record, current, records
from tests.recorded import Recorded, nothing_current


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

    def test_a_type_of_records_is_registered_once_and_until_the_patch_is_undone(self) -> None:
        first, second = Plan(), Plan()
        for plan in (first, second):
            carry.register(plan, Record, ADAPTER)
            plan.apply()
        second.undo()
        assert carry.adapters[Record] is ADAPTER
        first.undo()
        assert Record not in carry.adapters
