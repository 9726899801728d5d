"""OTLP's ExportTraceServiceRequest in protobuf, read without a library. Only the fields of a span that a tree shows.

Source of the field numbers: opentelemetry-proto 1.x, trace.proto, common.proto, resource.proto.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import Any

from test_services.jaeger_thrift import ReceivedSpan

_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_ERROR = 2


def from_request(body: bytes) -> list[ReceivedSpan]:
    """The spans of a POST to /v1/traces. ValueError, struct.error or IndexError if it does not decode."""
    spans = []
    for batch in map(_fields, _fields(body)[1]):
        resource = _attributes(_fields(batch[1][0])[1]) if batch[1] else {}
        for scope in map(_fields, batch[2]):
            spans += [_span(_fields(span), resource) for span in scope[2]]
    return spans


def _span(span: dict[int, list[Any]], resource: dict[str, Any]) -> ReceivedSpan:
    (start,), (end,) = span[7], span[8]
    status = _fields(span[15][0]) if span[15] else {3: []}
    failed = {"error": True} if status[3] == [_ERROR] else {}
    return ReceivedSpan(
        service=resource["service.name"],
        process_tags=resource,
        trace_id=_id(span[1]),
        span_id=_id(span[2]),
        parent_id=_id(span[4]),
        name=span[5][0].decode(),
        start_us=start // 1000,
        duration_us=(end - start) // 1000,
        flags=1,
        tags={**_attributes(span[9]), "span.kind": _KINDS[span[6][0]], **failed},
        logs=[],
        references=[],
    )


def _id(values: list[bytes]) -> int:
    return int.from_bytes(values[0], "big") if values else 0


def _attributes(pairs: list[bytes]) -> dict[str, Any]:
    return {pair[1][0].decode(): _value(_fields(b"".join(pair[2]))) for pair in map(_fields, pairs)}


def _value(any_value: dict[int, list[Any]]) -> Any:
    """A text or bool, a number as its bits, None for an empty value."""
    for number, (value,) in any_value.items():
        return value.decode() if number == 1 else bool(value) if number == 2 else value
    return None


def _fields(message: bytes) -> dict[int, list[Any]]:
    """Field number -> its values in order: bytes, or numbers (of varints and of fixed ones, without a sign)."""
    found: dict[int, list[Any]] = defaultdict(list)
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            found[number].append(value)
            continue
        if wire == 2:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("a field ends after its message")
            found[number].append(message[at : at + size])
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            found[number] += struct.unpack_from("<Q" if wire == 1 else "<I", message, at)
        else:
            raise ValueError(f"wire type {wire}")
        at += size
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and the position after it."""
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1
