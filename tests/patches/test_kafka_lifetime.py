"""kafka-python's consumers change hands, are dropped or closed; loop bodies fail: no record outlives its work."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from opentelemetry import trace

from tests.contracts.messaging import own_work
from tests.patches.kafka_python_stage import KafkaPython, Stage, polled
from tests.recorded import Recorded, is_child, nothing_current, tags

PATIENT = 60_000
"""ms a consumer waits for records that are there; only a busy machine needs it."""


class Hand:
    """A thread that makes the calls it is given, one after the other, and waits in between."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Any] = queue.Queue()
        self._results: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        for call in iter(self._calls.get, None):
            try:
                self._results.put((call(), None))
            except BaseException as error:
                self._results.put((None, error))

    def do(self, call: Callable[[], Any]) -> Any:
        self._calls.put(call)
        result, error = self._results.get(timeout=60)
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        self._calls.put(None)
        self._thread.join()


@pytest.fixture
def hands() -> Iterator[tuple[Hand, Hand]]:
    found = Hand(), Hand()
    yield found
    for hand in found:
        hand.end()


class TestHandedOver(KafkaPython):
    """One consumer, several threads, one after the other."""

    def test_a_loop_in_one_thread_then_in_another(self, stage: Stage, spans: Recorded, hands: Any) -> None:
        stage.sent(4)
        consumer = stage.consumer(consumer_timeout_ms=PATIENT)

        def two() -> list[bool]:
            seen = [nothing_current()]
            for count, record in enumerate(consumer):
                own_work(f"body {record.offset}")
                if count:
                    break
            return [*seen, nothing_current()]

        assert [hand.do(two) for hand in hands] == [[True, True], [True, True]]
        assert len(spans.consumers) == 4
        for processed in spans.consumers:
            (work,) = [span for span in spans if span.name == f"body {tags(processed)['offset']}"]
            assert is_child(work, processed)

    @pytest.mark.parametrize("how", ["next", "poll", "close"])
    def test_a_record_ends_when_another_thread_goes_on(
        self, stage: Stage, spans: Recorded, hands: Any, how: str
    ) -> None:
        """In its own thread it stays active until that calls the consumer: threads that share one finish their work."""
        stage.sent(2)
        consumer = stage.consumer(consumer_timeout_ms=PATIENT)
        first, second = hands
        first.do(lambda: next(consumer))
        assert spans.consumers == []
        second.do({"next": lambda: next(consumer), "poll": lambda: consumer.poll(0), "close": consumer.close}[how])
        assert tags(spans.consumers[0])["offset"] == 0
        assert second.do(nothing_current) is (how != "next")
        assert is_child(first.do(lambda: own_work("still")), spans.consumers[0])
        turn = {"next": lambda: consumer.poll(0)}.get(how, consumer.close)
        first.do(turn)
        assert first.do(nothing_current)
        assert second.do(nothing_current) is (how != "next")
        second.do(turn)

    def test_a_commit_of_its_own_thread_is_the_end_there(self, stage: Stage, spans: Recorded, hands: Any) -> None:
        stage.sent(1)
        consumer = stage.consumer(group_id=stage.topic, enable_auto_commit=False, consumer_timeout_ms=PATIENT)
        first, second = hands
        first.do(lambda: next(consumer))
        second.do(lambda: consumer.poll(0))
        assert len(spans.consumers) == 1
        first.do(consumer.commit)
        assert first.do(nothing_current)

    def test_threads_that_share_a_consumer(self, stage: Stage, spans: Recorded, hands: Any) -> None:
        """Each works on what it has got; no record is the parent of what the thread gets next."""
        stage.sent(4)
        consumer = stage.consumer(consumer_timeout_ms=PATIENT)

        def work(number: int) -> None:
            own_work(f"body {number}")

        for number in range(4):
            record = hands[number % 2].do(lambda: next(consumer))
            assert record.offset == number
            if number:
                hands[(number - 1) % 2].do(lambda number=number: work(number - 1))
        for hand in hands:
            hand.do(consumer.close)
            assert hand.do(nothing_current)
        for number, (sent, processed) in enumerate(zip(spans.producers, spans.consumers, strict=True)):
            assert is_child(processed, sent)
            bodies = [span for span in spans if span.name == f"body {number}"]
            assert [is_child(body, processed) for body in bodies] == [True] * (number < 3)

    def test_a_list_of_poll_is_worked_on_in_another_thread(self, stage: Stage, spans: Recorded, hands: Any) -> None:
        stage.sent(3)
        first, second = hands
        ((_, records),) = first.do(lambda: polled(stage.consumer())).items()

        def work() -> bool:
            for record in records:
                own_work(f"body {record.offset}")
            return nothing_current()

        assert second.do(work)
        assert first.do(nothing_current)
        for processed in spans.consumers:
            (body,) = [span for span in spans if span.name == f"body {tags(processed)['offset']}"]
            assert is_child(body, processed)


class TestDropped(KafkaPython):
    """kafka-python itself sees to its sockets, its threads and its group."""

    def own(self, stage: Stage) -> KafkaConsumer:
        """A consumer that nobody else holds."""
        made = KafkaConsumer(bootstrap_servers=stage.servers, auto_offset_reset="earliest", consumer_timeout_ms=PATIENT)
        made.assign([TopicPartition(stage.topic, 0)])
        return made

    def test_with_a_record_of_next(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(2)
        consumer = self.own(stage)
        next(consumer)
        assert not nothing_current()
        del consumer
        gc.collect()
        assert nothing_current()
        assert "error" not in tags(spans.consumers[0])

    def test_with_a_list(self, stage: Stage, spans: Recorded) -> None:
        """What was polled is still the program's."""
        stage.sent(2)
        ((_, records),) = polled(self.own(stage)).items()
        gc.collect()
        for record in records:
            own_work(f"body {record.offset}")
        for processed in spans.consumers:
            (body,) = [span for span in spans if span.name == f"body {tags(processed)['offset']}"]
            assert is_child(body, processed)

    def test_with_its_loop(self, stage: Stage, spans: Recorded) -> None:
        """The loop is all that holds the consumer."""
        stage.sent(2)
        for record in self.own(stage):
            own_work(f"body {record.offset}")
            break
        assert nothing_current()
        assert len(spans.consumers) == 1

    def test_with_a_generator_that_is_left(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(2)

        def values() -> Iterator[bytes]:
            for record in self.own(stage):
                yield record.value

        found = values()
        assert next(found) == b"0"
        assert not nothing_current()
        del found
        assert nothing_current()
        assert len(spans.consumers) == 1


class TestFailingBodies(KafkaPython):
    def failures(self, spans: Recorded) -> list[str | None]:
        return [span.failure and span.failure.message for span in spans.consumers]

    def test_a_loop_within_try_and_finally_that_closes(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(2)
        consumer = stage.consumer(consumer_timeout_ms=PATIENT)
        with pytest.raises(LookupError):
            try:
                for record in consumer:
                    if record.offset:
                        raise LookupError("of the second")
            finally:
                consumer.close()
        assert nothing_current()
        assert self.failures(spans) == [None, "of the second"]

    def test_next_within_a_block_that_closes(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(2)
        with pytest.raises(LookupError), closing(stage.consumer(consumer_timeout_ms=PATIENT)) as consumer:
            next(consumer)
            next(consumer)
            raise LookupError("of the second")
        assert nothing_current()
        assert self.failures(spans) == [None, "of the second"]

    def test_a_loop_that_begins_again_after_each_failure(self, stage: Stage, spans: Recorded) -> None:
        """A supervisor reports the failure, and the consumer goes on."""
        stage.sent(3)
        consumer, caught = stage.consumer(consumer_timeout_ms=PATIENT), 0
        while caught < 3:
            try:
                for record in consumer:
                    assert is_child(trace.get_current_span(), spans.producers[record.offset])
                    raise LookupError(str(record.offset))
            except LookupError:
                caught += 1
                assert nothing_current()
        assert self.failures(spans) == ["0", "1", "2"]

    def test_only_what_leaves_the_body_fails_the_record(self, stage: Stage, spans: Recorded) -> None:
        stage.sent(3)
        for record in stage.consumer():
            try:
                raise LookupError("handled")
            except LookupError:
                if record.offset == 1:
                    continue
        assert nothing_current()
        assert self.failures(spans) == [None, None, None]

    def test_the_interpreters_own_exits_are_no_failure(self, stage: Stage, spans: Recorded) -> None:
        """Ctrl-C and sys.exit() end the record; nothing has failed."""
        stage.sent(2)
        for kind in (KeyboardInterrupt, SystemExit):
            with pytest.raises(kind):
                for _ in stage.consumer(consumer_timeout_ms=PATIENT):
                    raise kind
            assert nothing_current()
        assert self.failures(spans) == [None, None]


if "legacy_iterator" in KafkaConsumer.DEFAULT_CONFIG:

    class TestLegacyIterator(KafkaPython):
        """The iterator from before 1.4.7, which the oldest versions still have behind a setting."""

        def test_a_loop(self, stage: Stage, spans: Recorded) -> None:
            stage.sent(3)
            for record in stage.consumer(legacy_iterator=True):
                own_work(f"body {record.offset}")
            assert nothing_current()
            assert len(spans.consumers) == 3
            for processed in spans.consumers:
                (body,) = [span for span in spans if span.name == f"body {tags(processed)['offset']}"]
                assert is_child(body, processed)
