"""Messages that have methods (confluent-kafka's): their adapter, and the state of their consumer. Knows no library.

A message whose error() is not None is an error of the client's, not a record: it has no span.
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.messaging.consumer import ConsumerState
from autotrace.messaging.record_adapter import RecordAdapter
from autotrace.semantics.kafka import age, short_key
from autotrace.tracing import propagate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from autotrace.semantics.family import SharedFacts

    HighWatermark: TypeAlias = Callable[[Any, str, int], int | None]
    """(consumer, topic, partition) -> the end of the partition as last heard; None if unknown. Never raises."""

PLACE = "Consumer"
# C code reads a list by these, at a fifth of the price of asking each message in Python.
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


ADAPTER = RecordAdapter(facts, _coordinates, _headers, propagate.extract_kafka)


class MessageConsumerState(ConsumerState):
    """Kept by a consumer of messages. No method raises."""

    __slots__ = ("high_watermark",)

    def __init__(self, shared: SharedFacts, high_watermark: HighWatermark) -> None:
        super().__init__(ADAPTER, shared)
        self.high_watermark = high_watermark

    def on_record(self, consumer: Any, message: Any) -> Any:
        """The library has given a message alone, or None. It is returned as it came."""
        try:
            if message is not None and message.error() is None:
                self.consumer_span.open_in_thread(message)
                active = self.consumer_span.active
                if active is not None:
                    known = active.span.facts
                    high, offset = self.high_watermark(consumer, known["topic"], known["partition"]), known["offset"]
                    if high is not None and high > offset:
                        known["lag"] = high - offset - 1
        except Exception:
            contained(PLACE)
        return message

    def on_list(self, consumer: Any, messages: Any) -> Any:
        """The library has given a list. Returned as one that opens each message's span; anything else as it came."""
        try:
            return self._traced(consumer, messages) if messages and type(messages) is list else messages
        except Exception:
            contained(PLACE)
            return messages

    def _traced(self, consumer: Any, messages: list[Any]) -> list[Any]:
        records = [message for message in messages if message.error() is None]
        if not records:
            return messages
        partitions = set(zip(map(_topic, records), map(_partition, records), strict=True))
        topics = {topic for topic, _ in partitions}
        shared = {"operation": "receive", "topic": topics.pop() if len(topics) == 1 else None}
        if len(partitions) == 1:
            ((_, shared["partition"]),) = partitions
        watermarks = {partition: self.high_watermark(consumer, *partition) for partition in partitions}
        made = self.wrap_list(messages, _adapter_with_lag(watermarks), shared)
        if len(records) < len(messages):
            for message in messages:
                if message.error() is not None:
                    del made._remaining.headers[id(message)]
        return made


def _adapter_with_lag(watermarks: dict[Any, int | None]) -> RecordAdapter:
    (only, *more) = watermarks.values()

    def with_lag(message: Any) -> dict[str, Any]:
        found = facts(message)
        offset = found["offset"]
        high = watermarks[found["topic"], found["partition"]] if more else only
        if high is not None and high > offset:
            found["lag"] = high - offset - 1
        return found

    return ADAPTER._replace(facts=with_lag)
