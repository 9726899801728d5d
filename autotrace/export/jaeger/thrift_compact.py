"""Jaeger's structs in Thrift's compact protocol, written straight to bytes. The functions are those of thrift_binary.

A field begins with one byte: its upper half is the distance from the last field's id, its lower half the type. Whole
numbers are zigzag varints. A struct ends with a zero byte. Source: thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

from autotrace.export.jaeger.thrift import BINARY, BOOL, DOUBLE, LONG, MASK, STRING, Prefixes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotrace.export.tag_value import TagValue

F64 = Struct("<d").pack  # little-endian in all implementations; older texts say otherwise


def varint(number: int) -> bytes:
    """Seven bits a byte, lowest first, the top bit set in all but the last; `number` is not negative."""
    if number < 0x80:
        return _ONE_BYTE[number]
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_ONE_BYTE = [bytes((number,)) for number in range(0x80)]


def zigzag(number: int) -> bytes:
    """A signed number of 64 bits: 0, -1, 1, -2 … are 0, 1, 2, 3 …"""
    return varint((number << 1) ^ (number >> 63))


@lru_cache(maxsize=4096)
def _id(number: int) -> bytes:
    """Head and zigzag of a field that holds an id of 64 bits, given unsigned.

    Cached, because a trace's id comes with each of its spans, and a span's id again as its children's parent.
    """
    return b"\x16" + varint((number << 1 & MASK) ^ MASK if number >> 63 else number << 1)


def _text(raw: bytes) -> bytes:
    return varint(len(raw)) + raw


def _structs(count: int) -> bytes:
    """Head of a list of structs."""
    return bytes((count << 4 | 12,)) if count < 15 else b"\xfc" + varint(count)


def _prefixes(tag_type: int, value_field: bytes) -> Prefixes:
    """Fields 1 (key) and 2 (type), and the head of the value's field."""
    rest = b"\x15" + zigzag(tag_type) + value_field
    return Prefixes(lambda key: b"\x18" + _text(key) + rest)


_strings = _prefixes(STRING, b"\x18")
_doubles = _prefixes(DOUBLE, b"\x27")
_bools = _prefixes(BOOL, b"")
_longs = _prefixes(LONG, b"\x46")
_binaries = _prefixes(BINARY, b"\x58")


def tag(key: str, value: TagValue) -> bytes:
    kind = type(value)
    if kind is str:
        raw = value.encode("utf-8", "replace")  # type: ignore[union-attr]
        return b"%b%b%b\0" % (_strings[key], varint(len(raw)), raw)
    if kind is int:
        return _longs[key] + zigzag(value) + b"\0"  # type: ignore[arg-type]
    if kind is bool:
        return _bools[key] + (b"\x31\0" if value else b"\x32\0")  # the type says which
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
    """As thrift_binary.span."""
    return b"".join(
        (
            _id(trace_id & MASK),
            _id(trace_id >> 64),
            _id(span_id),
            _id(parent_id),
            b"\x18",
            varint(len(operation)),
            operation,
            _references(references) + b"\x15" if references else b"\x25",  # the flags follow one or two ids later
            zigzag(flags),
            b"\x16",
            zigzag(start),
            b"\x16",
            zigzag(duration),
            b"\x19",
            _structs(tag_count),
            *tags,
            _logs(logs) if logs else b"",
            b"\0",
        )
    )


def _references(references: Sequence[tuple[int, int, int]]) -> bytes:
    return b"\x19" + _structs(len(references)) + b"".join(
        b"\x15" + zigzag(kind) + _id(trace_id & MASK) + _id(trace_id >> 64) + _id(span_id) + b"\0"
        for kind, trace_id, span_id in references
    )  # fmt: skip


def _logs(logs: Sequence[tuple[int, Sequence[bytes]]]) -> bytes:
    return b"\x19" + _structs(len(logs)) + b"".join(
        b"\x16" + zigzag(time) + b"\x19" + _structs(len(fields)) + b"".join(fields) + b"\0" for time, fields in logs
    )  # fmt: skip


def process(service: str, tags: Sequence[bytes]) -> bytes:
    name = _text(service.encode("utf-8", "replace"))
    return b"".join((b"\x18", name, b"\x19", _structs(len(tags)), *tags, b"\0"))


def batch(process: bytes, spans: Sequence[bytes]) -> bytes:
    """The struct Batch."""
    return b"".join((b"\x1c", process, b"\x19", _structs(len(spans)), *spans, b"\0"))


def message(process: bytes, spans: Sequence[bytes]) -> bytes:
    """The oneway call Agent.emitBatch(1: Batch): protocol 0x82, type 4 and version 1, sequence number 0."""
    return b"\x82\x81\x00" + _text(b"emitBatch") + b"\x1c" + batch(process, spans) + b"\0"
