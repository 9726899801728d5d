"""A record that `next()` gives belongs to a job or a thread, and to no later one."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from opentelemetry import context

from autotrace.messaging import consumer_span
from autotrace.tracing import forks, tracer
from tests.messaging.fake_consumer import Consumer, current, records
from tests.recorded import Recorded, nothing_current


class TestPools:
    def test_a_record_is_not_the_next_jobs(self, spans: Recorded) -> None:
        consumer = Consumer(records(2))
        with ThreadPoolExecutor(1) as pool:
            for _ in range(2):
                pool.submit(next, consumer).result()
                assert pool.submit(current).result() == 0
            with pytest.raises(StopIteration):
                pool.submit(next, consumer).result()
        assert len(spans) == 2

    def test_a_job_that_works_for_a_record_sees_it(self, spans: Recorded) -> None:
        consumer = Consumer(records(1))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: (next(consumer), current())[1]).result() == 100
            assert pool.submit(nothing_current).result()

    def test_nor_after_a_failure(self, spans: Recorded) -> None:
        consumer = Consumer(records(1))

        def fails() -> None:
            next(consumer)
            raise LookupError

        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(LookupError):
                pool.submit(fails).result()
            assert pool.submit(nothing_current).result()

    def test_in_asyncio(self, spans: Recorded) -> None:
        async def main() -> list[Any]:
            loop = asyncio.get_running_loop()
            consumer = Consumer(records(2))
            found = []
            with ThreadPoolExecutor(1) as pool:
                loop.set_default_executor(pool)
                for _ in range(2):
                    await loop.run_in_executor(None, next, consumer)
                    found += [await loop.run_in_executor(None, current), await asyncio.to_thread(current), current()]
            return found

        assert asyncio.run(main()) == [0] * 6

    def test_in_a_pool_of_multiprocessing(self, spans: Recorded) -> None:
        consumer = Consumer(records(3))
        with ThreadPool(1) as pool:
            pool.apply(next, (consumer,))
            assert pool.apply(current) == 0
            pool.map(lambda _: next(consumer), [1])
            assert pool.map(lambda _: current(), [1]) == [0]

    def test_what_the_program_itself_leaves_in_a_thread_stays(self, spans: Recorded) -> None:
        own = context.set_value("mine", 1)
        with ThreadPoolExecutor(1, initializer=context.attach, initargs=(own,)) as pool:
            assert pool.submit(context.get_value, "mine").result() == 1
            assert pool.submit(context.get_value, "mine").result() == 1


def test_a_record_ends_with_its_thread_also_where_its_identifier_is_used_again(spans: Recorded) -> None:
    consumer = Consumer(records(200))
    identifiers = set()

    def work() -> None:
        identifiers.add(threading.get_ident())
        next(consumer)

    for number in range(1, 201):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert len(spans) == number
    assert len(identifiers) < 200, "no identifier was used again"


def test_a_fork_that_python_does_not_learn_of_counts(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """uWSGI forks in C. Its patch calls forks.forked() in the child."""
    consumer = Consumer(records(1))
    next(consumer)
    before = consumer_span._forks
    forks.forked()
    assert consumer_span._forks == before + 1
    consumer.consumer_span.close()
    assert spans == [], "the parent ends it"
    assert os.getpid() and tracer.provider
