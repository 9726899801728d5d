"""A Kafka record that has attributes (kafka-python's, aiokafka's): how it is read, alone and in the lists of a poll. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.messaging.consumer_span import Reading
from autotrace.semantics.kafka import age, short_key
from autotrace.tracing import propagate

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.messaging.consumer import Work


def facts(record: Any) -> dict[str, Any]:
    """Facts of messaging.CONSUMER."""
    timestamp = record.timestamp  # ms; none, 0 and -1 are told of a record without one
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": short_key(record.key),
        "age": age(timestamp) if timestamp else None,
    }


def _coordinates(record: Any) -> Any:
    return record.topic, record.partition, record.offset, record.timestamp


def _headers(record: Any) -> Any:
    return record.headers


def _remote(headers: Any) -> Any:
    return propagate.extract_kafka(headers)


READING = Reading(facts, _coordinates, _headers, _remote)


def reading(partition_state: Callable[[tuple[str, int]], Any]) -> Reading:
    """READING, and how far each record is from the end of its partition, as last heard of; the network is not asked.

    `partition_state`: (topic, partition) -> what the client knows of it, with `highwater`; may raise.
    """

    def with_lag(record: Any) -> dict[str, Any]:
        found = facts(record)
        try:
            high = partition_state((record.topic, record.partition)).highwater
        except Exception:  # it was taken away meanwhile
            return found
        if high is not None and high > record.offset:
            found["lag"] = high - record.offset - 1
        return found

    return READING._replace(facts=with_lag)


def listed(polled: dict[Any, Any], work: Work) -> None:
    """Replaces the lists of {partition: records} by such as open each record's scope."""
    for partition, records in polled.items():
        if type(records) is list and records:
            shared = {"topic": partition.topic, "partition": partition.partition, "operation": "receive"}
            polled[partition] = work.listed(records, work.scope.reading, shared)
