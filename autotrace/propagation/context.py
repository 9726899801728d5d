"""Remote: the span that a carrier names; and the flag bits of a span context. Data only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeAlias

    Get: TypeAlias = Callable[[str], "str | None"]
    """Lower-case header name -> its value in the carrier, or None. Several headers of a name come joined by `,`."""

    Headers: TypeAlias = list[tuple[str, str]]

    class SpanContext(Protocol):
        """The part of a span that a codec needs. Ids are whole numbers, 0 for none; flags are the bits below."""

        @property
        def trace_id(self) -> int: ...
        @property
        def span_id(self) -> int: ...
        @property
        def parent_id(self) -> int: ...
        @property
        def flags(self) -> int: ...
        @property
        def trace_state(self) -> str | None: ...


SAMPLED = 0x01
RANDOM = 0x02
"""The two bits of W3C's trace-flags that are defined."""
DEBUG = 0x100
"""B3's debug: the trace is recorded whatever the samplers decide. Never without SAMPLED."""
SHORT = 0x200
"""The trace id came with 64 bits, and leaves with 64 bits in every format that knows both lengths."""

MAX_64 = (1 << 64) - 1
OWS = " \t"
"""Optional white space of HTTP (RFC 9110): it may surround a value and does not belong to it."""

_HEX = "0123456789abcdef"


class Remote:
    """The remote span that one carrier names, with the baggage and the mesh's headers beside it.

    `trace_id` 0: no ids came. `decision`: False is a deny, True an accept or a debug, None means the local sampler's.
    `forwarded`: the mesh's headers, names in lower case, values as they came.
    """

    __slots__ = ("baggage", "decision", "flags", "forwarded", "span_id", "trace_id", "trace_state")

    def __init__(
        self,
        trace_id: int = 0,
        span_id: int = 0,
        flags: int = 0,
        decision: bool | None = None,
        trace_state: str | None = None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.decision = decision
        self.trace_state = trace_state
        self.baggage: dict[str, str] | None = None
        self.forwarded: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Remote({self.trace_id:032x}, {self.span_id:016x}, flags={self.flags:#x}, decision={self.decision})"


def is_hex(text: str) -> bool:
    """Only lower-case hex digits, and at least one? `int(text, 16)` alone would accept `+1`, `1_0` and blanks."""
    return bool(text) and not text.strip(_HEX)


def identify(trace: str, span: str, state: tuple[bool | None, int]) -> Remote | None:
    """A Remote of hex ids, of lengths checked by the caller, and a state (decision, flags). None: zero or not hex."""
    if trace.strip(_HEX) or span.strip(_HEX):
        return None
    trace_id = int(trace, 16)
    span_id = int(span, 16)
    if not trace_id or not span_id:
        return None
    decision, flags = state
    return Remote(trace_id, span_id, flags if trace_id > MAX_64 else flags | SHORT, decision)
