"""MessageConsumerState without any library: lag, lists of several partitions, errors among the messages, failures."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from autotrace import containment
from autotrace.messaging.batches import TracedList, traced_copy
from autotrace.messaging.method_messages import ADAPTER, MessageConsumerState, facts
from autotrace.semantics.family import SharedFacts
from tests.recorded import Recorded, nothing_current, record, tags


class Message:
    """As confluent-kafka's: methods give everything. `stamp`: ms since the epoch; -1 where there is none."""

    def __init__(self, offset: int, partition: int = 0, topic: str = "t", error: Any = None, stamp: int = -1) -> None:
        self.values = {"offset": offset, "partition": partition, "topic": topic, "error": error}
        self.values |= {"key": b"k", "headers": None, "timestamp": (1, stamp)}

    def __getattr__(self, name: str) -> Any:
        return lambda: self.values[name]


@pytest.fixture
def spans() -> Iterator[Recorded]:
    containment.failures.clear()
    with record() as recorded:
        yield recorded
    gc.collect()
    assert nothing_current()


HIGHS = {("t", 0): 10, ("t", 1): 20, ("u", 0): None}


def high(_: Any, topic: str, partition: int) -> int | None:
    return HIGHS[topic, partition]


@pytest.fixture
def state(spans: Recorded) -> MessageConsumerState:
    return MessageConsumerState(SharedFacts({"operation": "process"}), high)


def lags(spans: Recorded) -> list[Any]:
    return [tags(span).get("kafka.lag") for span in spans.consumers]


class TestLag:
    def test_of_a_message_alone(self, state: MessageConsumerState, spans: Recorded) -> None:
        for message in (Message(3), Message(9), Message(5, 1), Message(5, 0, "u"), Message(10)):
            state.on_fetch()
            assert state.on_record(None, message) is message
        state.on_fetch()
        assert lags(spans) == [6, 0, 14, None, None]
        assert containment.failures == {}

    @pytest.mark.parametrize("places", [[("t", 0)], [("u", 0)], [("t", 0), ("t", 1)], [("u", 0), ("t", 1)]])
    def test_of_the_messages_of_a_list(
        self, state: MessageConsumerState, spans: Recorded, places: list[tuple[str, int]]
    ) -> None:
        messages = [Message(offset, partition, topic) for offset in (3, 9, 10) for topic, partition in places]
        for message in state.on_list(None, messages):
            assert not nothing_current(), message
        ends = [HIGHS[place] for place in places]
        assert lags(spans) == [
            end - offset - 1 if end is not None and end > offset else None for offset in (3, 9, 10) for end in ends
        ]
        assert containment.failures == {}


class TestLists:
    @pytest.mark.parametrize(
        ("places", "topic", "partition"),
        [([("t", 0)] * 2, "t", "0"), ([("t", 0), ("t", 1)], "t", None), ([("t", 0), ("u", 0)], None, None)],
    )
    def test_what_messages_have_in_common_is_told_of_those_that_nobody_iterates(
        self, state: MessageConsumerState, spans: Recorded, places: Any, topic: Any, partition: Any
    ) -> None:
        messages = state.on_list(None, [Message(1, partition, topic) for topic, partition in places])
        del messages
        found = tags(spans.one())
        assert found["messaging.batch.message_count"] == len(places)
        assert found.get("messaging.destination.name") == topic
        assert found.get("messaging.destination.partition.id") == partition

    def test_errors_are_given_with_the_others_and_have_no_span(
        self, state: MessageConsumerState, spans: Recorded
    ) -> None:
        messages = [Message(1), Message(2, error="x"), Message(3, 1), Message(0, 7, "nobody's", error="x")]
        seen = [(message.offset(), nothing_current()) for message in state.on_list(None, list(messages))]
        assert seen == [(1, False), (2, True), (3, False), (0, True)]
        assert len(spans.consumers) == 2
        assert containment.failures == {}

    @pytest.mark.parametrize("given", [None, [], (), (Message(1),), [Message(1, error="x")], {}])
    def test_what_is_no_list_of_messages_comes_as_it_is(
        self, state: MessageConsumerState, spans: Recorded, given: Any
    ) -> None:
        assert state.on_list(None, given) is given
        assert containment.failures == {}

    def test_a_copy_opens_spans_as_the_list_does(self, state: MessageConsumerState, spans: Recorded) -> None:
        first = state.on_list(None, [Message(1), Message(2)])
        assert type(first) is TracedList
        for message in traced_copy(first[:], first):
            assert not nothing_current(), message
        assert len(spans.consumers) == 2
        del first
        gc.collect()
        assert len(spans.consumers) == 2

    def test_headers_are_read_once(self, state: MessageConsumerState, spans: Recorded) -> None:
        asked = []

        class Counting(Message):
            def headers(self) -> Any:
                asked.append(self)

        for _ in state.on_list(None, [Counting(1), Counting(2)]):
            pass
        assert len(asked) == 2


class TestFacts:
    def test_age_where_there_is_a_timestamp(self) -> None:
        assert "age" not in facts(Message(1))
        assert "age" not in facts(Message(1, stamp=0))
        assert 0 <= facts(Message(1, stamp=time.time_ns() // 1_000_000 - 5))["age"] < 60_000


class TestFailures:
    @pytest.mark.parametrize("asked", ["error", "topic", "partition", "offset", "timestamp", "key", "headers"])
    def test_a_message_that_cannot_be_read_is_given_all_the_same(
        self, state: MessageConsumerState, spans: Recorded, asked: str
    ) -> None:
        class Odd(Message):
            def __getattribute__(self, name: str) -> Any:
                if name == asked:
                    raise RuntimeError("not this one")
                return super().__getattribute__(name)

        message = Odd(1)
        assert state.on_record(None, message) is message
        state.on_fetch()
        messages = [message, Message(2)]
        assert list(state.on_list(None, messages)) == messages
        state.on_close()
        assert nothing_current()
        assert containment.failures

    def test_an_end_that_cannot_be_told_is_no_reason_to_lose_the_message(self, spans: Recorded) -> None:
        def fails(*_: Any) -> Any:
            raise RuntimeError("a defect of ours")

        state = MessageConsumerState(SharedFacts({}), fails)
        message = Message(1)
        assert state.on_record(None, message) is message
        state.on_fetch()
        assert len(spans.consumers) == 1
        messages = [message]
        assert state.on_list(None, messages) is messages
        assert containment.failures

    def test_a_forked_child_leaves_the_parents_message_alone(
        self, state: MessageConsumerState, spans: Recorded
    ) -> None:
        state.on_record(None, Message(1))
        if (child := os.fork()) == 0:
            state.on_fetch()
            os._exit(len(spans.consumers))
        assert os.waitpid(child, 0)[1] == 0
        state.on_fetch()
        assert len(spans.consumers) == 1


def test_it_is_what_carry_reads() -> None:
    message = Message(1)
    assert ADAPTER.key(message) == ("t", 0, 1, (1, -1))
    assert ADAPTER.extract(None) is None
