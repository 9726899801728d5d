"""Records with attributes (kafka-python's, aiokafka's): their adapter, and the lists of a poll. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained, reraise_interruption
from autotrace.messaging.record_adapter import RecordAdapter
from autotrace.semantics.kafka import age, short_key
from autotrace.tracing import propagate

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.messaging.consumer import ConsumerState


def facts(record: Any) -> dict[str, Any]:
    """Facts of messaging.CONSUMER."""
    timestamp = record.timestamp  # ms; a record without a timestamp has None, 0 or -1
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


ADAPTER = RecordAdapter(facts, _coordinates, _headers, propagate.extract_kafka)


def adapter_with_lag(partition_state: Callable[[tuple[str, int]], Any]) -> RecordAdapter:
    """ADAPTER, with the number of records behind each, as the client last heard from the broker. No network call.

    `partition_state`: (topic, partition) -> the client's own object with `highwater`; may raise.
    """

    def with_lag(record: Any) -> dict[str, Any]:
        found = facts(record)
        try:
            high = partition_state((record.topic, record.partition)).highwater
        except Exception:  # the partition was taken away meanwhile
            reraise_interruption()
            return found
        if high is not None and high > record.offset:
            found["lag"] = high - record.offset - 1
        return found

    return ADAPTER._replace(facts=with_lag)


def deliver_lists(state: ConsumerState, consumer: Any, polled: Any) -> Any:
    """Replace the lists in {partition: records} by lists that open each record's span. Never raises."""
    try:
        for partition, records in polled.items():
            if type(records) is list and records:
                shared = {"topic": partition.topic, "partition": partition.partition}
                polled[partition] = state.wrap_list(records, state.consumer_span.adapter, shared)
    except Exception:
        contained(type(consumer).__name__)
    return polled
