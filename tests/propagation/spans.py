"""What codecs see of a span, and the values that tests of several codecs draw from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from autotrace.propagation.context import DEBUG, MAX_64, RANDOM, SAMPLED, SHORT

TRACE = 0x463AC35C9F6413AD48485A3953BB6124
SHORT_TRACE = 0x48485A3953BB6124
SPAN = 0xA2FB4A1D1A96D312
PARENT = 0x0020000000000001


def span(
    trace_id: int = TRACE,
    span_id: int = SPAN,
    parent_id: int = 0,
    flags: int = SAMPLED,
    trace_state: str | None = None,
) -> Any:
    return SimpleNamespace(
        trace_id=trace_id, span_id=span_id, parent_id=parent_id, flags=flags, trace_state=trace_state
    )


ids_64 = st.integers(1, MAX_64)
ids_128 = st.integers(MAX_64 + 1, (1 << 128) - 1)
states = st.sampled_from([0, SAMPLED, SAMPLED | DEBUG])


@st.composite
def spans(draw: Any) -> Any:
    """Spans of every kind: long and short trace ids, roots and children, every state, random or not."""
    short = draw(st.booleans())
    flags = draw(states) | draw(st.sampled_from([0, RANDOM])) | (SHORT if short else 0)
    return span(draw(ids_64 if short else ids_128), draw(ids_64), draw(st.just(0) | ids_64), flags)


junk = st.text(st.characters(), max_size=80) | st.text("0123456789abcdef-:%,;=@ \tdF", max_size=120)
