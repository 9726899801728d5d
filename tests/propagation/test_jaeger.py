"""Jaeger's uber-trace-id and uberctx- baggage, as its own clients in several languages write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.propagation import jaeger
from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT

from .spans import PARENT, SHORT_TRACE, SPAN, TRACE, junk, span, spans


def extract(text: str) -> Any:
    return jaeger.extract({"uber-trace-id": text}.get)


LONG = f"{TRACE:032x}:{SPAN:016x}"
GOOD = {
    "128 bits": (f"{LONG}:0:1", TRACE, SPAN, SAMPLED),
    "64 bits": (f"{SHORT_TRACE:016x}:{SPAN:016x}:0:1", SHORT_TRACE, SPAN, SAMPLED | SHORT),
    "64 bits, padded": (f"{SHORT_TRACE:032x}:{SPAN:016x}:0:1", SHORT_TRACE, SPAN, SAMPLED | SHORT),
    "short ids": ("abc:1:0:1", 0xABC, 1, SAMPLED | SHORT),
    "31 digits": (f"{TRACE >> 4:031x}:{SPAN:016x}:0:1", TRACE >> 4, SPAN, SAMPLED),
    "a parent": (f"{LONG}:{PARENT:016x}:1", TRACE, SPAN, SAMPLED),
    "no parent": (f"{LONG}::1", TRACE, SPAN, SAMPLED),
    "not sampled": (f"{LONG}:0:0", TRACE, SPAN, 0),
    "two digits of flags": (f"{LONG}:0:01", TRACE, SPAN, SAMPLED),
    "sampled and debug": (f"{LONG}:0:3", TRACE, SPAN, SAMPLED | DEBUG),
    "debug": (f"{LONG}:0:2", TRACE, SPAN, SAMPLED | DEBUG),
    "unknown flags": (f"{LONG}:0:f8", TRACE, SPAN, 0),
    "percent-coded": (f"{LONG}:0:1".replace(":", "%3A"), TRACE, SPAN, SAMPLED),
    "percent-coded in lower case": (f"{LONG}:0:1".replace(":", "%3a"), TRACE, SPAN, SAMPLED),
    "upper case": (f"{LONG}:0:1".upper(), TRACE, SPAN, SAMPLED),
    "white space around": (f" {LONG}:0:1\t", TRACE, SPAN, SAMPLED),
}


@pytest.mark.parametrize(("text", "trace", "own", "flags"), GOOD.values(), ids=GOOD)
def test_is_read(text: str, trace: int, own: int, flags: int) -> None:
    remote = extract(text)
    assert (remote.trace_id, remote.span_id, remote.flags) == (trace, own, flags)
    assert remote.decision is bool(flags & SAMPLED)


BAD = {
    "empty": "",
    "a word": "nonsense",
    "colons": ":::",
    "three parts": LONG + ":1",
    "five parts": f"{LONG}:0:1:1",
    "zero trace": f"0:{SPAN:016x}:0:1",
    "zero span": f"{TRACE:032x}:0:0:1",
    "empty trace": f":{SPAN:016x}:0:1",
    "empty span": f"{TRACE:032x}::0:1",
    "trace too long": f"0{LONG}:0:1",
    "span too long": f"{LONG}0:0:1",
    "parent too long": f"{LONG}:{PARENT:017x}:1",
    "parent no hex": f"{LONG}:x:1",
    "flags missing": f"{LONG}:0:",
    "flags no hex": f"{LONG}:0:x",
    "flags too long": f"{LONG}:0:001",
    "a sign": f"+bc:{SPAN:016x}:0:1",
    "an underscore": f"a_c:{SPAN:016x}:0:1",
    "other escapes": f"%61bc:{SPAN:016x}:0:1",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_malformed_is_none(text: str) -> None:
    assert extract(text) is None


WRITTEN = {
    "root": (span(), 0, f"{LONG}:0:1"),
    "child": (span(), PARENT, f"{LONG}:20000000000001:1"),
    "not sampled": (span(flags=RANDOM), 0, f"{LONG}:0:0"),
    "debug": (span(flags=SAMPLED | DEBUG), 0, f"{LONG}:0:3"),
    "64 bits": (span(SHORT_TRACE, flags=SAMPLED | SHORT), 0, f"{SHORT_TRACE:016x}:{SPAN:016x}:0:1"),
}


@pytest.mark.parametrize(("one", "parent", "text"), WRITTEN.values(), ids=WRITTEN)
def test_is_written(one: Any, parent: int, text: str) -> None:
    written = jaeger.uber_trace_id(one, f"{one.trace_id:032x}", f"{one.span_id:016x}", parent)
    assert written == [("uber-trace-id", text)]


@given(spans())
def test_what_is_written_is_read_back(one: Any) -> None:
    written = jaeger.uber_trace_id(one, f"{one.trace_id:032x}", f"{one.span_id:016x}", one.parent_id)
    remote = jaeger.extract(dict(written).get)
    assert remote is not None
    assert (remote.trace_id, remote.span_id, remote.flags) == (one.trace_id, one.span_id, one.flags & ~RANDOM)


@given(junk)
def test_no_text_raises(text: str) -> None:
    remote = extract(text)
    assert remote is None or (remote.trace_id and remote.span_id)


def test_baggage_is_found_by_prefix_and_decoded() -> None:
    headers = {"uberctx-user": "Am%C3%A9lie+1", "uberctx-": "x", "uberctx-empty": "", "uberctx-raw": "\xe9", "b3": "0"}
    assert jaeger.read_baggage(headers.get, headers) == {"user": "Am\xe9lie+1"}
    assert jaeger.read_baggage({}.get, ()) is None


def test_baggage_is_written_one_header_an_item_and_never_empty() -> None:
    items = {"user": "Am\xe9lie +&", "empty": "", "b c": "1", "n": 5}
    assert jaeger.baggage(items) == [("uberctx-user", "Am%C3%A9lie%20%2B%26"), ("uberctx-n", "5")]


def test_baggage_keeps_to_the_limits() -> None:
    assert len(jaeger.baggage({f"k{n}": "v" for n in range(70)})) == 64
    assert jaeger.baggage({"k": "v" * 9000}) == []
    headers = {f"uberctx-k{n}": "v" for n in range(70)}
    assert len(jaeger.read_baggage(headers.get, headers) or ()) == 64


@given(st.dictionaries(st.text("abc09-._", min_size=1, max_size=9), st.text("aé ,;%+\n", min_size=1), max_size=9))
def test_baggage_comes_back_as_it_was(items: dict[str, str]) -> None:
    headers = dict(jaeger.baggage(items))
    assert jaeger.read_baggage(headers.get, headers) == (items or None)
