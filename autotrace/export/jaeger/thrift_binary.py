"""Jaeger's structs (jaeger.thrift, agent.thrift of jaeger-idl) in Thrift's binary protocol, written straight to bytes.

A field is its type (1 byte), its id (2 bytes) and the value. Text is its length (4 bytes) and UTF-8. A struct ends with
a zero byte. `tag` is fast because it adds only the value to a prefix that is made once for each key.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from autotrace.export.jaeger.thrift import BINARY, BOOL, DOUBLE, LONG, MASK, STRING, Prefixes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotrace.export.tag_value import TagValue

I32 = Struct(">i").pack
I64 = Struct(">q").pack
F64 = Struct(">d").pack
IDS = Struct(">bhQbhQbhQbhQbhi").pack
"""Fields 1 to 4 (i64; written unsigned, which gives the same bytes), and the head of field 5, the name."""
TIMES = Struct(">bhibhqbhqbhbi").pack
"""Fields 7 (flags, i32), 8 and 9 (start, duration, i64), and the head of field 10, the list of tags."""
REFERENCE = Struct(">bhibhQbhQbhQb").pack
TIMESTAMP = Struct(">bhqbhbi").pack


def _text(raw: bytes) -> bytes:
    return I32(len(raw)) + raw


def _prefixes(tag_type: int, value_field: bytes) -> Prefixes:
    """Fields 1 (key) and 2 (type), and the head of the value's field."""
    rest = b"\x08\x00\x02" + I32(tag_type) + value_field
    return Prefixes(lambda key: b"\x0b\x00\x01" + _text(key) + rest)


_strings = _prefixes(STRING, b"\x0b\x00\x03")
_doubles = _prefixes(DOUBLE, b"\x04\x00\x04")
_bools = _prefixes(BOOL, b"\x02\x00\x05")
_longs = _prefixes(LONG, b"\x0a\x00\x06")
_binaries = _prefixes(BINARY, b"\x0b\x00\x07")


def tag(key: str, value: TagValue) -> bytes:
    kind = type(value)
    if kind is str:
        raw = value.encode("utf-8", "replace")  # type: ignore[union-attr]
        return b"%b%b%b\0" % (_strings[key], I32(len(raw)), raw)
    if kind is int:
        return _longs[key] + I64(value) + b"\0"
    if kind is bool:
        return _bools[key] + (b"\1\0" if value else b"\0\0")
    if kind is float:
        return _doubles[key] + F64(value) + b"\0"
    return _binaries[key] + _text(value) + b"\0"  # type: ignore[arg-type]


def span(
    trace_id: int,
    span_id: int,
    parent_id: int,
    operation: bytes,
    flags: int,
    start: int,
    duration: int,
    references: Sequence[tuple[int, int, int]],
    tag_count: int,
    tags: Sequence[bytes],
    logs: Sequence[tuple[int, Sequence[bytes]]],
) -> bytes:
    """Times are in µs. `tags` together hold `tag_count` tags.

    references: (SpanRefType, trace id, span id). logs: (µs, fields).
    """
    return b"".join(
        (
            IDS(10, 1, trace_id & MASK, 10, 2, trace_id >> 64, 10, 3, span_id, 10, 4, parent_id, 11, 5, len(operation)),
            operation,
            _references(references) if references else b"",
            TIMES(8, 7, flags, 10, 8, start, 10, 9, duration, 15, 10, 12, tag_count),
            *tags,
            _logs(logs) if logs else b"",
            b"\0",
        )
    )


def _references(references: Sequence[tuple[int, int, int]]) -> bytes:
    return b"\x0f\x00\x06\x0c" + I32(len(references)) + b"".join(
        REFERENCE(8, 1, kind, 10, 2, trace_id & MASK, 10, 3, trace_id >> 64, 10, 4, span_id, 0)
        for kind, trace_id, span_id in references
    )  # fmt: skip


def _logs(logs: Sequence[tuple[int, Sequence[bytes]]]) -> bytes:
    return b"\x0f\x00\x0b\x0c" + I32(len(logs)) + b"".join(
        TIMESTAMP(10, 1, time, 15, 2, 12, len(fields)) + b"".join(fields) + b"\0" for time, fields in logs
    )  # fmt: skip


def process(service: str, tags: Sequence[bytes]) -> bytes:
    return b"".join(
        (
            b"\x0b\x00\x01" + _text(service.encode("utf-8", "replace")),
            b"\x0f\x00\x02\x0c" + I32(len(tags)),
            *tags,
            b"\0",
        )
    )


def batch(process: bytes, spans: Sequence[bytes]) -> bytes:
    """The struct Batch. A collector takes one in each POST."""
    return b"".join((b"\x0c\x00\x01", process, b"\x0f\x00\x02\x0c" + I32(len(spans)), *spans, b"\0"))


def message(process: bytes, spans: Sequence[bytes]) -> bytes:
    """The oneway call Agent.emitBatch(1: Batch). An agent takes one in each UDP packet."""
    return b"\x80\x01\x00\x04" + _text(b"emitBatch") + I32(0) + b"\x0c\x00\x01" + batch(process, spans) + b"\0"
