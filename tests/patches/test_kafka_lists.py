"""The lists of kafka-python's poll() stay lists, and however they are iterated, each record has one span of its own."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import operator
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from kafka.consumer.fetcher import ConsumerRecord
from opentelemetry import trace

import autotrace
from tests.contracts.messaging import own_work
from tests.patches.kafka_python_stage import Stage, polled, servers
from tests.recorded import Recorded, is_child, nothing_current, tags

Lists = dict[Any, list[Any]]


@pytest.fixture(scope="module")
def filled(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Two partitions, three records of each, for all tests."""
    stage = Stage(servers(request))
    stage.partitioned(2)
    stage.sent(3, partition=0)
    stage.sent(3, partition=1)
    yield stage
    stage.close()


@pytest.fixture
def lists(filled: Stage, spans: Recorded) -> Iterator[Lists]:
    """What poll() gives of them."""
    with contextlib.closing(filled.consumer()) as consumer:
        consumer.assign([filled.partition(0), filled.partition(1)])
        found: Lists = {}
        for _ in range(600):
            found.update(consumer.poll(200))
            if len(found) == 2:
                break
        assert [len(records) for records in found.values()] == [3, 3]
        yield found


def work_on(record: Any) -> None:
    own_work(f"body {record.partition} {record.offset}")


def assert_each_in_its_own(spans: Recorded, records: Iterable[Any]) -> None:
    """Each record's span is a child of the one in its headers, and its body's span of its own."""
    found = {(tags(span)["partition"], tags(span)["offset"]): span for span in spans.consumers}
    assert len(spans.consumers) == len(found)
    for record in records:
        processed = found.pop((record.partition, record.offset))
        assert b"%016x" % processed.parent_id == dict(record.headers)["X-B3-SpanId"]
        (body,) = [span for span in spans if span.name == f"body {record.partition} {record.offset}"]
        assert is_child(body, processed)
    assert found == {}


class TestIterated:
    def test_the_dict_in_a_nested_loop(self, spans: Recorded, lists: Lists) -> None:
        for records in lists.values():
            for record in records:
                work_on(record)
            assert nothing_current()
        assert_each_in_its_own(spans, itertools.chain(*lists.values()))

    @pytest.mark.parametrize(
        "flat",
        [
            lambda lists: itertools.chain.from_iterable(lists.values()),
            lambda lists: (record for records in lists.values() for record in records),
            lambda lists: itertools.islice(itertools.chain(*lists.values()), 6),
            lambda lists: filter(None, itertools.chain(*lists.values())),
            lambda lists: (record for _, record in enumerate(itertools.chain(*lists.values()))),
        ],
        ids=["chain", "generator", "slice", "filter", "enumerate"],
    )
    def test_flattened_as_it_goes(self, spans: Recorded, lists: Lists, flat: Callable[[Lists], Iterable[Any]]) -> None:
        """If something takes one record after the other, each record's span is active in turn."""
        for record in flat(lists):
            work_on(record)
        assert nothing_current()
        assert_each_in_its_own(spans, itertools.chain(*lists.values()))

    @pytest.mark.parametrize(
        ("flat", "iterates"),
        [
            (lambda lists: [record for records in lists.values() for record in records], True),
            (lambda lists: sorted(itertools.chain(*lists.values()), key=lambda record: record.offset), True),
            (lambda lists: [*itertools.chain(*lists.values())], True),
            (lambda lists: functools.reduce(operator.add, lists.values()), False),
            (lambda lists: [record for records in lists.values() for record in reversed(records)], False),
            (lambda lists: [record for records in lists.values() for record in records[:]], False),
        ],
        ids=["comprehension", "sorted", "unpacked", "added", "reversed", "slices"],
    )
    def test_flattened_beforehand(
        self, lists: Lists, spans: Recorded, flat: Callable[[Lists], list[Any]], iterates: bool
    ) -> None:
        """A plain list: nothing is current in its loop, and carry() takes a record up that was iterated before."""
        records = flat(lists)
        assert type(records) is list
        assert len(records) == 6
        for record in records:
            assert nothing_current()
            with autotrace.carry(record):  # type: ignore[operator]
                work_on(record)
        assert nothing_current()
        if iterates:
            assert_each_in_its_own(spans, itertools.chain(*lists.values()))
        else:
            assert spans.consumers == []

    def test_a_loop_within_a_loop_over_the_same(self, spans: Recorded, lists: Lists) -> None:
        """The inner loop reactivates each record's span, and gives back the outer one's."""
        records = lists[min(lists)]
        for outer in records:
            mine = trace.get_current_span()
            for inner in records:
                assert (trace.get_current_span() is mine) is (inner is outer)
            assert trace.get_current_span() is mine
            work_on(outer)
        assert nothing_current()
        assert_each_in_its_own(spans, records)

    def test_two_lists_in_step(self, spans: Recorded, lists: Lists) -> None:
        one, other = lists.values()
        for first, second in zip(one, other, strict=True):
            assert first.partition != second.partition
            work_on(second)
            with autotrace.carry(first):  # type: ignore[operator]
                work_on(first)
        assert nothing_current()
        assert_each_in_its_own(spans, itertools.chain(*lists.values()))

    def test_once_more_makes_no_second_span(self, spans: Recorded, lists: Lists) -> None:
        for records in lists.values():
            list(records)
            for record in records:
                work_on(record)
            first, *rest = records
            assert [first, *rest] == records
        assert nothing_current()
        assert_each_in_its_own(spans, itertools.chain(*lists.values()))

    def test_after_the_consumer_was_closed(self, filled: Stage, spans: Recorded) -> None:
        """The list had its span when the consumer was closed; each record that is worked on later has its own."""
        with contextlib.closing(filled.consumer()) as consumer:
            lists = polled(consumer)
        assert [span.name for span in spans.consumers] == [f"receive {filled.topic}"]
        del spans[:]
        for record in lists[filled.partition(0)]:
            work_on(record)
        assert nothing_current()
        assert_each_in_its_own(spans, lists[filled.partition(0)])

    @pytest.mark.parametrize("ending", ["break", "return", "raise"])
    def test_a_nested_loop_that_is_left_leaves_nothing(self, spans: Recorded, lists: Lists, ending: str) -> None:
        def work() -> None:
            for records in lists.values():
                for record in records:
                    work_on(record)
                    if ending == "return":
                        return
                    if ending == "raise":
                        raise LookupError(str(record.offset))
                    break

        if ending == "raise":
            with pytest.raises(LookupError):
                work()
        else:
            work()
        assert nothing_current()
        processed = [span for span in spans.consumers if span.name.startswith("process")]
        assert len(processed) == (2 if ending == "break" else 1)
        assert [span.failure is not None for span in processed] == [ending == "raise"] * len(processed)


QUESTIONS: tuple[Callable[[list[Any]], Any], ...] = (
    len,
    bool,
    repr,
    copy.copy,
    copy.deepcopy,
    list.copy,
    lambda records: records[0],
    lambda records: records[-1],
    lambda records: records[1:],
    lambda records: operator.add(records, [1]),
    lambda records: operator.add([1], records),
    lambda records: records * 2,
    lambda records: pickle.loads(pickle.dumps(records)),
    lambda records: pickle.loads(pickle.dumps(records, 0)),
    lambda records: records.index(records[1]),
    lambda records: records.count(records[1]),
    lambda records: records[2] in records,
    lambda records: records == records[:],
    lambda records: records[:] == records,
    lambda records: records != [],
    lambda records: records > [],
    lambda records: list(reversed(records)),
    lambda records: isinstance(records, list),
)


class TestLists:
    """Asked anything but for an iterator: no span, nothing current, and the answer of a list."""

    def test_asked_what_a_list_is_asked(self, spans: Recorded, lists: Lists) -> None:
        records = lists[min(lists)]
        plain = [records[0], records[1], records[2]]
        for number, asked in enumerate(QUESTIONS):
            found, expected = asked(records), asked(plain)
            assert (number, found, type(found)) == (number, expected, type(expected))
            assert nothing_current()
        assert spans.consumers == []

    def test_changed_by_the_program(self, spans: Recorded, lists: Lists) -> None:
        """What is taken off is not iterated; it shares the list's own span."""
        records = lists.pop(min(lists))
        lists.clear()
        last = records.pop()
        records.reverse()
        assert [record.offset for record in records] == [1, 0]
        records.append(last)
        records.extend([])
        del records
        assert [span.name.split()[0] for span in spans.consumers].count("process") == 2
        assert last.offset == 2

    def test_the_whole_dict_is_pickled_and_equal(self, spans: Recorded, lists: Lists) -> None:
        loaded = pickle.loads(pickle.dumps(lists))
        assert type(loaded) is dict
        assert loaded == lists
        assert [type(records) for records in loaded.values()] == [list, list]
        assert type(next(iter(loaded.values()))[0]) is ConsumerRecord
        assert spans.consumers == []
