"""B3: all vectors of b3_vectors.json, what is written, and that nothing read raises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.propagation import b3
from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT

from .spans import PARENT, SHORT_TRACE, SPAN, TRACE, junk, span, spans

VECTORS = json.loads(Path(__file__).with_name("b3_vectors.json").read_text())
DECISIONS = {"defer": None, "deny": False, "accept": True, "debug": True}
IDS = "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312"


def test_there_are_65_vectors() -> None:
    assert len(VECTORS) == 65


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    remote = b3.extract(vector["headers"].get)
    context, sampling = vector["expect"]["context"], vector["expect"]["sampling"]
    if sampling is None:
        assert remote is None
        return
    assert remote is not None
    expected = (int(context["trace_id"], 16), int(context["span_id"], 16)) if context else (0, 0)
    assert (remote.trace_id, remote.span_id) == expected
    assert remote.decision is DECISIONS[sampling]
    assert bool(remote.flags & DEBUG) is (sampling == "debug")
    assert bool(remote.flags & SAMPLED) is (sampling in ("accept", "debug"))
    assert bool(remote.flags & SHORT) is (context is not None and context["trace_id"].startswith("0" * 16))


def test_a_debug_flag_overrules_a_deny_as_in_brave() -> None:
    remote = b3.extract({"x-b3-sampled": "0", "x-b3-flags": "1"}.get)
    assert remote is not None
    assert (remote.decision, remote.flags) == (True, SAMPLED | DEBUG)


def test_a_malformed_parent_does_not_cost_the_trace() -> None:
    headers = {"x-b3-traceid": f"{TRACE:032x}", "x-b3-spanid": f"{SPAN:016x}", "x-b3-parentspanid": ""}
    remote = b3.extract(headers.get)
    assert remote is not None
    assert remote.trace_id == TRACE


@pytest.mark.parametrize("blank", [" ", "\t", " \t "])
def test_optional_white_space_is_no_part_of_a_value(blank: str) -> None:
    single = b3.extract({"b3": f"{blank}{IDS}-1{blank}"}.get)
    multi = b3.extract(
        {
            "x-b3-traceid": f"{TRACE:032x}{blank}",
            "x-b3-spanid": f"{blank}{SPAN:016x}",
            "x-b3-sampled": f"1{blank}",
            "x-b3-flags": f"{blank}1",
        }.get
    )
    for remote in (single, multi):
        assert remote is not None
        assert (remote.trace_id, remote.span_id, remote.decision) == (TRACE, SPAN, True)
    assert multi is not None
    assert multi.flags & DEBUG


@pytest.mark.parametrize("trace", ["+48485a3953bb6124", "0x485a3953bb6124", "48485a_953bb6124", " 8485a3953bb6124"])
def test_what_int_would_take_for_hex_is_no_id(trace: str) -> None:
    assert b3.extract({"x-b3-traceid": trace[:16], "x-b3-spanid": f"{SPAN:016x}"}.get) is None
    assert b3.extract({"b3": f"{trace[:16]}-{SPAN:016x}"}.get) is None


WRITTEN = {
    "accept": (SAMPLED, "1", [("X-B3-Sampled", "1")]),
    "deny": (0, "0", [("X-B3-Sampled", "0")]),
    "debug": (SAMPLED | DEBUG, "d", [("X-B3-Sampled", "1"), ("X-B3-Flags", "1")]),
    "random is not B3's": (SAMPLED | RANDOM, "1", [("X-B3-Sampled", "1")]),
}


@pytest.mark.parametrize(("flags", "single", "multi"), WRITTEN.values(), ids=WRITTEN)
def test_states_are_written(flags: int, single: str, multi: list[tuple[str, str]]) -> None:
    one = span(flags=flags)
    trace, own = f"{TRACE:032x}", f"{SPAN:016x}"
    assert b3.single(one, trace, own, 0) == [("b3", f"{IDS}-{single}")]
    assert b3.multi(one, trace, own, 0) == [("X-B3-TraceId", trace), ("X-B3-SpanId", own), *multi]


def test_a_parent_is_written_unless_the_span_is_a_root() -> None:
    trace, own = f"{TRACE:032x}", f"{SPAN:016x}"
    assert ("X-B3-ParentSpanId", "0020000000000001") in b3.multi(span(), trace, own, PARENT)
    assert "X-B3-ParentSpanId" not in dict(b3.multi(span(), trace, own, 0))
    assert b3.single(span(), trace, own, PARENT) == [("b3", f"{IDS}-1-0020000000000001")]


def test_a_64_bit_trace_id_leaves_as_64_bits() -> None:
    short = span(SHORT_TRACE, flags=SAMPLED | SHORT)
    trace, own = f"{SHORT_TRACE:032x}", f"{SPAN:016x}"
    assert b3.multi(short, trace, own, 0)[0] == ("X-B3-TraceId", "48485a3953bb6124")
    assert b3.single(short, trace, own, 0) == [("b3", "48485a3953bb6124-a2fb4a1d1a96d312-1")]


@given(spans())
def test_what_is_written_is_read_back(one: Any) -> None:
    for write in (b3.single, b3.multi):
        written = write(one, f"{one.trace_id:032x}", f"{one.span_id:016x}", one.parent_id)
        assert all(value for _, value in written)
        remote = b3.extract({name.lower(): value for name, value in written}.get)
        assert remote is not None
        assert (remote.trace_id, remote.span_id) == (one.trace_id, one.span_id)
        assert remote.flags == one.flags & ~RANDOM
        assert remote.decision is bool(one.flags & SAMPLED)


@given(st.dictionaries(st.sampled_from(b3.names), junk))
def test_no_text_raises_and_what_is_read_is_whole(headers: dict[str, str]) -> None:
    remote = b3.extract(headers.get)
    if remote is not None:
        assert bool(remote.trace_id) is bool(remote.span_id)
        assert remote.trace_id or remote.decision is not None
