"""Bytes that a Jaeger client sends, decoded by thriftpy2 with jaeger.thrift. Knows nothing of autotrace's own encoder.

Bytes that are left over raise ValueError, and so does text that is no UTF-8. Strict: a tag that comes twice or without
its value raises too. Not strict: the last of two tags counts, and a tag without a value is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import thriftpy2
from thriftpy2.protocol import TBinaryProtocol, TCompactProtocol
from thriftpy2.thrift import TMessageType
from thriftpy2.transport import TMemoryBuffer

thrift = thriftpy2.load(str(Path(__file__).with_name("jaeger.thrift")), module_name="test_services_jaeger_thrift")

_PROTOCOLS = {"binary": TBinaryProtocol, "compact": TCompactProtocol}
_REFERENCES = {0: "CHILD_OF", 1: "FOLLOWS_FROM"}
_VALUES = {0: "vStr", 1: "vDouble", 2: "vBool", 3: "vLong", 4: "vBinary"}


@dataclass
class ReceivedSpan:
    """Ids are not negative, and 0 for none. Times are in µs. `references`: (name of the type, trace id, span id)."""

    service: str
    process_tags: dict[str, Any]
    trace_id: int
    span_id: int
    parent_id: int
    name: str
    start_us: int
    duration_us: int
    flags: int
    tags: dict[str, Any]
    logs: list[tuple[int, dict[str, Any]]]
    references: list[tuple[str, int, int]]


def from_batch(body: bytes, strict: bool = True) -> list[ReceivedSpan]:
    """The struct Batch in the binary protocol, as a collector gets it in a POST."""
    buffer = TMemoryBuffer(body)
    batch = thrift.Batch()
    _PROTOCOLS["binary"](buffer).read_struct(batch)
    _at_end(buffer)
    return _spans(batch, strict)


def from_message(packet: bytes, protocol: str, strict: bool = True) -> list[ReceivedSpan]:
    """A oneway call of Agent.emitBatch, as an agent gets it in a packet. `protocol`: compact or binary."""
    buffer = TMemoryBuffer(packet)
    reader = _PROTOCOLS[protocol](buffer)
    name, kind, _ = reader.read_message_begin()
    if (name, kind) != ("emitBatch", TMessageType.ONEWAY):
        raise ValueError(f"message {name!r} of type {kind} is no oneway emitBatch")
    arguments = thrift.Agent.emitBatch_args()
    reader.read_struct(arguments)  # not every protocol returns it
    reader.read_message_end()
    _at_end(buffer)
    return _spans(arguments.batch, strict)


def _at_end(buffer: Any) -> None:
    if buffer.read(1):
        raise ValueError("bytes left over")


def _spans(batch: Any, strict: bool) -> list[ReceivedSpan]:
    process_tags = _tags(batch.process.tags, strict)
    return [_span(_text(batch.process.serviceName), process_tags, span, strict) for span in batch.spans]


def _span(service: str, process_tags: dict[str, Any], span: Any, strict: bool) -> ReceivedSpan:
    return ReceivedSpan(
        service,
        process_tags,
        _trace_id(span),
        _unsigned(span.spanId),
        _unsigned(span.parentSpanId),
        _text(span.operationName),
        span.startTime,
        span.duration,
        span.flags,
        _tags(span.tags, strict),
        [(log.timestamp, _tags(log.fields, strict)) for log in span.logs or ()],
        [(_REFERENCES[ref.refType], _trace_id(ref), _unsigned(ref.spanId)) for ref in span.references or ()],
    )


def _tags(tags: Any, strict: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tag in tags or ():
        wanted = _VALUES[tag.vType]
        given = [field for field in _VALUES.values() if getattr(tag, field) is not None]
        if strict and given != [wanted]:
            raise ValueError(f"tag {tag.key!r} of type {tag.vType} has {given}")
        if strict and tag.key in found:
            raise ValueError(f"tag {tag.key!r} twice")
        value = getattr(tag, wanted)
        found[_text(tag.key)] = _text(value) if wanted == "vStr" and wanted in given else value
    return found


def _text(value: Any) -> str:
    """thriftpy2 returns bytes if they are no UTF-8."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _unsigned(number: int) -> int:
    return number & 0xFFFFFFFFFFFFFFFF


def _trace_id(holder: Any) -> int:
    return _unsigned(holder.traceIdHigh) << 64 | _unsigned(holder.traceIdLow)
