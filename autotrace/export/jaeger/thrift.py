"""What thrift_binary and thrift_compact have in common: the functions that write Jaeger's structs. A type only, no code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotrace.export.tag_value import Plain


class Thrift(Protocol):
    """The functions of thrift_binary and thrift_compact."""

    def tag(self, key: str, value: Plain) -> bytes: ...
    def span(
        self,
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
    ) -> bytes: ...
    def process(self, service: str, tags: Sequence[bytes]) -> bytes: ...
    def batch(self, process: bytes, spans: Sequence[bytes]) -> bytes: ...
    def message(self, process: bytes, spans: Sequence[bytes]) -> bytes: ...
