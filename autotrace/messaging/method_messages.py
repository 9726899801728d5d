"""A Kafka message that has methods (confluent-kafka's): how it is read, and what a consumer that gives it keeps for us. Knows no library.

A message whose error() is not None is an error in a message's clothes: it has no span.
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging import consumer as consumer_work
from autotrace.messaging.batches import Records
from autotrace.messaging.consumer_span import Reading
from autotrace.semantics.kafka import age, short_key
from autotrace.tracing import propagate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from autotrace.semantics.family import SharedFacts

    High: TypeAlias = Callable[[Any, str, int], int | None]
    """(consumer, topic, partition) -> the end of the partition as last heard of; None where it is not known. Never raises."""

PLACE = "Consumer"
# A list is read by these in C, which is a fifth of the price of asking each message in Python.
_topic, _partition, _headers = methodcaller("topic"), methodcaller("partition"), methodcaller("headers")


def facts(message: Any) -> dict[str, Any]:
    """Facts of messaging.CONSUMER."""
    found = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "key": short_key(message.key()),
    }
    timestamp = message.timestamp()[1]  # ms
    if timestamp > 0:
        found["age"] = age(timestamp)
    return found


def _coordinates(message: Any) -> Any:
    return message.topic(), message.partition(), message.offset(), message.timestamp()


READING = Reading(facts, _coordinates, _headers, propagate.extract_kafka)


class Work(consumer_work.Work):
    """What a consumer keeps for us. No method raises."""

    __slots__ = ("high",)

    def __init__(self, shared: SharedFacts, high: High) -> None:
        super().__init__(READING, shared)
        self.high = high

    def deliver(self, consumer: Any, message: Any) -> Any:
        """A message alone, or None; it is returned as it came."""
        try:
            if message is not None and message.error() is None:
                self.scope.deliver(message)
                work = self.scope.work
                if work is not None:
                    known = work.span.facts
                    high, offset = self.high(consumer, known["topic"], known["partition"]), known["offset"]
                    if high is not None and high > offset:
                        known["lag"] = high - offset - 1
        except Exception:
            contained(PLACE)
        return message

    def deliver_all(self, consumer: Any, messages: Any) -> Any:
        """A list of messages, as one that opens each message's scope; what is no list, or holds errors alone, as it came."""
        try:
            return self._listed(consumer, messages) if messages and type(messages) is list else messages
        except Exception:
            contained(PLACE)
            return messages

    def _listed(self, consumer: Any, messages: list[Any]) -> list[Any]:
        delivered = [message for message in messages if message.error() is None]
        if not delivered:
            return messages
        places = set(zip(map(_topic, delivered), map(_partition, delivered), strict=True))
        topics = {topic for topic, _ in places}
        shared = {"operation": "receive", "topic": topics.pop() if len(topics) == 1 else None}
        if len(places) == 1:
            ((_, shared["partition"]),) = places
        made = self.listed(messages, _with_lag({place: self.high(consumer, *place) for place in places}), shared)
        if len(delivered) < len(messages):
            for message in messages:
                if message.error() is not None:
                    del made._batch.waiting[id(message)]
        return made


def again(messages: list[Any], first: Records) -> Records:
    """`messages`: a new list of those that `first` holds, which opens their scopes as that does."""
    made = Records(messages)
    made._batch = first._batch
    return made


def _with_lag(highs: dict[Any, int | None]) -> Reading:
    (only, *more) = highs.values()

    def with_lag(message: Any) -> dict[str, Any]:
        found = facts(message)
        offset = found["offset"]
        high = highs[found["topic"], found["partition"]] if more else only
        if high is not None and high > offset:
            found["lag"] = high - offset - 1
        return found

    return READING._replace(facts=with_lag)
