"""The collector of sidecars' spans: what it takes for a span, and that it hides nothing that does not decode."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from test_services import otlp
from test_services.sidecar_spans import SidecarSpans


def field(number: int, value: bytes) -> bytes:
    """One that has a length."""
    size, length = len(value), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def attribute(key: bytes, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


SPAN = b"".join(
    (
        field(1, b"\xff" * 16),
        field(2, b"\x02" * 8),
        field(5, b"GET"),
        b"\x30\x02",  # server
        b"\x39" + (5_000_000).to_bytes(8, "little"),
        b"\x41" + (7_000_000).to_bytes(8, "little"),
        field(9, attribute(b"text", field(1, b""))),
        field(9, attribute(b"yes", b"\x10\x01")),
        field(9, attribute(b"number", b"\x18\xac\x02")),
        field(9, attribute(b"nothing", b"")),
        field(15, b"\x18\x02"),  # status: error
    )
)
RESOURCE = field(1, field(1, attribute(b"service.name", field(1, b"billing"))))
REQUEST = field(1, RESOURCE + field(2, field(2, SPAN)))


def test_a_span_of_otlp_is_read() -> None:
    (span,) = otlp.from_request(REQUEST)
    assert (span.service, span.name, span.trace_id, span.span_id) == (
        "billing",
        "GET",
        (1 << 128) - 1,
        0x0202020202020202,
    )
    assert (span.parent_id, span.start_us, span.duration_us) == (0, 5000, 2000)
    assert span.tags == {"text": "", "yes": True, "number": 300, "nothing": None, "span.kind": "server", "error": True}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/traces", REQUEST[:-1]), ("/v1/traces", b"\x0b"), ("/api/v2/spans", b"[{}]"), ("/elsewhere", b"[]")],
)
def test_what_does_not_decode_is_refused_and_told(path: str, body: bytes) -> None:
    with SidecarSpans() as collector:
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(f"http://127.0.0.1:{collector.port}{path}", body, timeout=5)
        with pytest.raises(AssertionError, match="does not decode"):
            collector.wait(0)
