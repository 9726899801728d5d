"""confluent-kafka's share consumers on a real broker: a batch is to them what a list of consume() is to a consumer."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import sys
import time
import types
from collections.abc import Iterator
from itertools import count
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
from opentelemetry import trace

import autotrace
from autotrace import registry
from autotrace.messaging import method_messages
from autotrace.messaging.consumer import ending
from autotrace.patches import confluent_kafka as patch
from autotrace.patching import MARK, Plan, Unpatchable
from autotrace.semantics import topics
from autotrace.setting_types import any_of
from test_services.kafka_broker import KafkaBroker
from tests.contracts.messaging import own_work
from tests.recorded import Recorded, is_child, nothing_current, tags

if not hasattr(confluent_kafka, "ShareConsumer"):
    pytest.skip("this version of confluent-kafka has no ShareConsumer", allow_module_level=True)
from confluent_kafka import DeserializingShareConsumer, Messages, ShareConsumer

_numbers = count()
KINDS = [ShareConsumer, DeserializingShareConsumer]


@pytest.fixture(scope="module")
def broker(kafka: Any) -> str:
    if not isinstance(kafka, KafkaBroker):
        pytest.skip("share groups are Apache Kafka's own, which is missing here")  # and that was said, loudly
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    # The broker makes this topic itself, but three times, and there is one broker.
    state = NewTopic("__share_group_state", 50, 1, config={"min.insync.replicas": "1", "cleanup.policy": "delete"})
    for made in admin.create_topics([state]).values():
        try:
            made.result()
        except KafkaException as reason:
            if reason.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return str(kafka.bootstrap_servers)


class Stand:
    """A share consumer of a topic of its own, ready. It takes a share consumer five seconds to be so, hence one for all tests."""

    def __init__(self, broker: str, kind: Any, admin: Any, **config: Any) -> None:
        self.topic = f"share-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"
        self.producer = Producer({"bootstrap.servers": broker, "linger.ms": 200})  # what goes in one piece comes in one
        self.producer.produce(self.topic, b"makes the topic")
        assert self.producer.flush(30) == 0
        earliest = ConfigEntry("share.auto.offset.reset", "earliest", incremental_operation=AlterConfigOpType.SET)
        group = ConfigResource(ConfigResource.Type.GROUP, self.topic, incremental_configs=[earliest])
        for done in admin.incremental_alter_configs([group]).values():
            done.result()
        self.consumer = kind({"bootstrap.servers": broker, "group.id": self.topic, "log_level": 0, **config})
        self.consumer.subscribe([self.topic])

    def batch(self, number: int = 3) -> Any:
        """Send that many and take them, in one batch."""
        self.drain()
        for value in range(number):
            self.producer.produce(self.topic, b"%d" % value, key=b"k")
        assert self.producer.flush(30) == 0
        for _ in range(100):
            messages = self.consumer.poll(0.5)
            if messages.count() == number:
                return messages
            assert not messages.count()
        raise AssertionError("no message came")

    def drain(self) -> None:
        while len(left := self.consumer.poll(0.2)):
            if self.explicit:
                for message in left[:]:
                    self.consumer.acknowledge(message)

    explicit = False


@pytest.fixture(scope="module")
def stands(broker: str) -> Iterator[dict[Any, Stand]]:
    admin = AdminClient({"bootstrap.servers": broker})
    made = {kind: Stand(broker, kind, admin) for kind in KINDS}
    config = {"share.acknowledgement.mode": "explicit"}
    made["explicit"] = explicit = Stand(broker, ShareConsumer, admin, **config)
    explicit.explicit = True
    for stand in made.values():
        for _ in range(200):
            if (found := stand.consumer.poll(0.1)).count():
                break
        if stand is explicit:
            for message in found[:]:
                stand.consumer.acknowledge(message)
    yield made
    for stand in made.values():
        stand.consumer.close()


@pytest.fixture
def stand(stands: dict[Any, Stand]) -> Stand:
    return stands[ShareConsumer]


def as_it_is(messages: Any) -> Any:
    return messages


def as_records(messages: Any) -> Any:
    return messages.records()


class TestLoop:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_message_of_a_batch_is_current_in_turn(self, kind: Any, stands: Any, spans: Recorded) -> None:
        stand = stands[kind]
        messages = stand.batch()
        assert nothing_current()
        for number, message in enumerate(messages):
            assert type(message) is Message
            assert is_child(trace.get_current_span(), spans.producers[number])
            own_work(f"body {number}")
        assert nothing_current()
        assert len(spans.consumers) == 3
        for number, processed in enumerate(spans.consumers):
            (body,) = [span for span in spans if span.name == f"body {number}"]
            assert is_child(body, processed)
            found = tags(processed)
            assert processed.name == f"process {stand.topic}"
            assert (found["offset"], found["messaging.consumer.group.name"]) == (messages[number].offset(), stand.topic)
            assert found["messaging.kafka.message.key"] == "k"
            assert "kafka.lag" not in found

    @pytest.mark.parametrize("kind", KINDS)
    def test_records_is_a_list_that_does_so_too(self, kind: Any, stands: Any, spans: Recorded) -> None:
        messages = stands[kind].batch()
        records = messages.records()
        assert isinstance(records, list)
        assert records is not messages.records()
        for number, message in enumerate(records):
            assert message is messages[number]
            own_work(f"body {number}")
        records.clear()
        assert messages.count() == 3
        del messages, records
        assert len(spans.consumers) == 3
        for number, processed in enumerate(spans.consumers):
            (body,) = [span for span in spans if span.name == f"body {number}"]
            assert is_child(body, processed)

    @pytest.mark.parametrize("asked", [False, True])
    def test_acknowledging_and_committing_leave_the_message_in_work(
        self, stands: Any, spans: Recorded, monkeypatch: pytest.MonkeyPatch, asked: bool
    ) -> None:
        """A commit is told of where AUTOTRACE_KAFKA_COMMITS asks for it."""
        stand = stands["explicit"]
        messages = stand.batch()
        monkeypatch.setattr(topics, "commits", asked)
        for message in messages:
            inside = trace.get_current_span()
            stand.consumer.acknowledge(message)
            assert trace.get_current_span() is inside
            assert list(stand.consumer.commit_sync().values()) == [None]
            assert trace.get_current_span() is inside
        stand.consumer.commit_async()
        assert nothing_current()
        assert len(spans.consumers) == 3
        assert [span.name for span in spans.clients] == ["commit"] * 3 * asked
        for commit, processed in zip(spans.clients, spans.consumers, strict=False):
            assert is_child(commit, processed)
            assert tags(commit)["messaging.consumer.group.name"] == stand.topic

    @pytest.mark.parametrize("of", [as_it_is, as_records])
    def test_an_exception_in_the_body_is_the_messages_failure(self, stand: Stand, spans: Recorded, of: Any) -> None:
        messages = stand.batch()
        with pytest.raises(LookupError):
            for message in of(messages):
                raise LookupError(message.value())
        assert nothing_current()
        assert [span.failure.message for span in spans.consumers if span.failure] == ["b'0'"]

    def test_messages_that_are_not_iterated_share_one_span(self, stand: Stand, spans: Recorded) -> None:
        messages = stand.batch()
        assert messages[0].value() == b"0"
        assert nothing_current()
        del messages
        (received,) = spans.consumers
        assert received.name == f"receive {stand.topic}"
        assert tags(received)["messaging.batch.message_count"] == 3
        assert is_child(received, spans.producers[0])
        assert [link.span_id for link in received.links or ()] == [span.span_id for span in spans.producers]

    def test_close_tells_of_messages_that_are_still_held(self, stand: Stand, spans: Recorded) -> None:
        messages = stand.batch()
        ending(patch._work)(lambda consumer: None)(
            stand.consumer
        )  # close() but for the library's own, since others need it
        assert len(spans.consumers) == 1
        assert len(messages) == 3
        assert {getattr(ShareConsumer, name).__name__ for name in ("close", "__exit__")} == {"close", "__exit__"}

    def test_carry(self, stand: Stand, spans: Recorded) -> None:
        first, *_ = stand.batch()
        with autotrace.carry(first):  # type: ignore[operator]
            own_work("later")
        (later,) = [span for span in spans if span.name == "later"]
        assert is_child(later, spans.consumers[0])

    def test_excluded_topics_are_left_alone(
        self, stand: Stand, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(topics, "_excluded", any_of((stand.topic,)))
        for _ in stand.batch():
            assert nothing_current()
        assert spans == []


class TestTypes:
    def test_a_batch_stays_what_it_is(self, stand: Stand, spans: Recorded) -> None:
        messages = stand.batch()
        assert type(messages) is Messages
        assert isinstance(messages._records, list)
        assert repr(messages) == f"Messages({messages[:]._records!r})"
        assert (len(messages), messages.count(), messages.is_empty(), bool(messages)) == (3, 3, False, True)
        assert type(messages[:2]) is Messages
        assert type(messages[:2]._records) is list
        assert messages[-1].value() == b"2"
        twin = copy.copy(messages)
        assert list.__eq__(twin.records(), messages.records())
        assert type(pickle.loads(pickle.dumps(messages))._records) is list
        del messages, twin
        gc.collect()
        assert len(spans.consumers) == 1

    def test_an_empty_batch_is_the_librarys_own(self, stand: Stand, spans: Recorded) -> None:
        stand.drain()
        spans.clear()
        messages = stand.consumer.poll(0.1)
        assert type(messages) is Messages
        assert type(messages._records) is list
        assert messages.records() == []
        assert spans == []

    def test_deserialized_and_broken_messages(
        self, stands: Any, spans: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that cannot be deserialized is an error in a message's clothes."""

        def number(value: bytes, _: Any) -> int:
            assert nothing_current()  # they run before the program's work on any of them
            if value == b"1":
                raise ValueError("no number")
            return int(value)

        stand = stands[DeserializingShareConsumer]
        monkeypatch.setattr(stand.consumer, "_value_deserializer", number)
        seen = []
        for message in stand.batch():
            seen.append((message.value(), message.error() is None, nothing_current()))
        assert seen == [(0, True, False), (b"1", False, True), (2, True, False)]
        assert len(spans.consumers) == 2

    def test_a_class_and_its_objects_are_what_they_claim(self, broker: str) -> None:
        bare: Any = ShareConsumer.__base__
        assert repr(ShareConsumer) == repr(bare)
        assert confluent_kafka.cimpl.ShareConsumer is ShareConsumer
        assert issubclass(DeserializingShareConsumer, ShareConsumer)
        config = {"bootstrap.servers": broker, "group.id": "g", "log_level": 0}
        for kind in KINDS:
            with kind(config) as made:
                assert type(made) is kind
                assert isinstance(made, ShareConsumer)
                assert isinstance(made, bare)

    @pytest.mark.parametrize(
        "form",
        [
            lambda kind: kind(),
            lambda kind: kind({}),
            lambda kind: kind({"nothing": 1}),
            lambda kind: kind(5),
            lambda kind: kind({}, nothing=1),
            lambda kind: kind(nothing=1),
        ],
    )
    def test_wrong_forms_of_init_fail_as_they_would(self, form: Any) -> None:
        """With no keywords at all C sees something else than with none of them."""
        bare: Any = ShareConsumer.__base__
        assert outcome(form, ShareConsumer) == outcome(form, bare)
        assert isinstance(outcome(form, bare), tuple)

    @pytest.mark.parametrize(
        "call",
        [
            lambda it: it.poll("x"),
            lambda it: it.poll(0.1),  # not subscribed
            lambda it: it.commit_sync("x"),
            lambda it: (it.close(), it.poll(0.1)),
            lambda it: (it.close(), it.commit_sync()),
        ],
    )
    def test_what_the_library_raises_passes(self, broker: str, spans: Recorded, call: Any) -> None:
        bare: Any = ShareConsumer.__base__
        config = {"bootstrap.servers": broker, "group.id": "g", "log_level": 0}
        assert outcome(call, ShareConsumer(config)) == outcome(call, bare(config))
        assert spans == []


def outcome(call: Any, *arguments: Any, **named: Any) -> Any:
    """What comes of a call: the type of its result, or the exception."""
    try:
        return type(call(*arguments, **named))
    except Exception as error:
        return type(error), str(error)


class TestPatch:
    def test_it_is_on(self) -> None:
        state = registry.states["confluent_kafka", "confluent_kafka.deserializing_share_consumer"]
        assert state == registry.ON

    def test_twice_is_once(self) -> None:
        plan = Plan()
        patch.share_batches(sys.modules["confluent_kafka.deserializing_share_consumer"], plan)
        plan.apply()
        assert plan._undo == []

    def test_it_stands_on_the_patch_of_the_clients(self) -> None:
        plain = types.SimpleNamespace(
            DeserializingShareConsumer=type("It", (), {"poll": lambda self, timeout: None}), Messages=Messages
        )
        with pytest.raises(Unpatchable, match="not patched"):
            patch.share_batches(plain, Plan())

    def test_a_batch_of_another_make_is_given_as_it_came(self) -> None:
        """Where a version keeps its messages in another place, that is one failure of ours, and no more."""

        class Odd:
            __slots__ = ()

            def __getitem__(self, index: Any) -> Any:
                raise LookupError

        odd = Odd()
        assert patch._deliver_batch(None, None, odd) is odd  # type: ignore[arg-type]
        assert patch._records(lambda batch: [batch])(odd) == [odd]

    @pytest.mark.parametrize("step", ["facts", "key", "headers", "remote"])
    def test_a_failure_of_ours_changes_nothing(self, stand: Stand, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        def fails(*_: Any) -> Any:
            raise RuntimeError("a defect of ours")

        monkeypatch.setattr(method_messages, "READING", method_messages.READING._replace(**{step: fails}))
        work = getattr(stand.consumer, patch.SLOT)
        monkeypatch.setattr(work.scope, "reading", method_messages.READING)
        messages = stand.batch()
        assert [message.value() for message in messages] == [b"0", b"1", b"2"]
        assert [message.value() for message in messages.records()] == [b"0", b"1", b"2"]
        del messages
        gc.collect()
        assert nothing_current()

    def test_methods_show_themselves_as_the_librarys(self) -> None:
        for owner, name in ((DeserializingShareConsumer, "poll"), (Messages, "records")):
            method = getattr(owner, name)
            assert method.__doc__ == getattr(method, MARK).__doc__
            assert method.__qualname__ == getattr(method, MARK).__qualname__
