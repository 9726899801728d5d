"""A consumer's iterator without any library: it notices that a loop is left, and how."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.messaging.fake_consumer import Consumer, Record, current, records
from tests.recorded import Recorded, nothing_current, tags


class TestIterator:
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
