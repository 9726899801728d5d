"""Facts of sent, received and processed Kafka records, and their names in each convention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.semantics import peer
from autotrace.semantics.family import Family, Row, Tag

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_LIMIT = 64
"""Characters: longer keys are likely to be data."""


def _key(raw: Any) -> str | None:
    """A message key as text; None if it is long or is not text."""
    if isinstance(raw, (bytes, bytearray, memoryview)):
        if len(raw) > KEY_LIMIT:
            return None
        try:
            raw = bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            return None
    return raw if isinstance(raw, str) and len(raw) <= KEY_LIMIT else None


# Fact `remote`: the broker that the client was configured with. Some kinds of span lack some of the facts.
ROWS = (
    Row("component", (Tag("component"),), (Tag("messaging.system", lambda _: "kafka"),)),
    Row("topic", (Tag("message_bus.destination"),), (Tag("messaging.destination.name"),)),
    Row("partition", (Tag("partition"),), (Tag("messaging.destination.partition.id", str),)),
    Row("offset", (Tag("offset"),), (Tag("messaging.kafka.offset"),)),
    Row("key", (), (Tag("messaging.kafka.message.key", _key),)),
    Row("group", (), (Tag("messaging.consumer.group.name"),)),
    Row("client", (), (Tag("messaging.client.id"),)),
    Row("count", (), (Tag("messaging.batch.message_count"),)),
    Row("operation", (), (Tag("messaging.operation.name"), Tag("messaging.operation.type"))),
    Row("age", (Tag("kafka.message.age_ms"),), (Tag("kafka.message.age_ms"),)),
    Row("lag", (Tag("kafka.lag"),), (Tag("kafka.lag"),)),
    Row("delivery", (Tag("kafka.delivery"),), (Tag("kafka.delivery"),)),
    *peer.ROWS,
)


def _named(opentracing: str) -> Any:
    def name(facts: Mapping[str, Any], convention: str) -> str:
        topic = facts.get("topic")
        if not topic:  # a commit, a batch of several topics
            return str(facts.get("operation", opentracing))
        if convention == "opentracing":
            return f"{opentracing}_{topic}"
        return f"{facts.get('operation', 'process')} {topic}"

    return name


PRODUCER = Family("messaging", ROWS, _named("To"))
CONSUMER = Family("messaging", ROWS, _named("From"))
