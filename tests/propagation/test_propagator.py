"""The order of reading, what is kept where formats disagree, and which formats are written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace import settings
from autotrace.propagation import _BAGGAGE_WRITERS, _READERS, _WRITERS, Propagator, Remote
from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED, SHORT

from .spans import PARENT, SHORT_TRACE, SPAN, TRACE, junk, span, spans

ROOT = Path(__file__).parents[2]
DEFAULT = ("b3multi", "tracecontext", "baggage")
FORMATS = ("b3", "b3multi", "tracecontext", "jaeger")
B3 = {"b3": f"{0xB3:032x}-{SPAN:016x}-0"}
MULTI = {"x-b3-traceid": f"{0xB33:032x}", "x-b3-spanid": f"{SPAN:016x}", "x-b3-sampled": "1"}
W3C = {"traceparent": f"00-{0x3C:032x}-{SPAN:016x}-01"}
JAEGER = {"uber-trace-id": f"{0x1A:x}:{SPAN:016x}:0:1"}


def read(headers: dict[str, str], formats: tuple[str, ...] = DEFAULT) -> Remote:
    remote = Propagator(formats).extract(headers.get)
    assert remote is not None
    return remote


@pytest.mark.parametrize(
    ("formats", "trace"),
    [
        (DEFAULT, 0xB3),
        (("tracecontext", "b3multi"), 0x3C),
        (("jaeger",), 0x1A),
        (("b3",), 0xB3),
        (("baggage",), 0xB3),
        ((), 0xB3),
        (("xray", "none", "jaeger", "jaeger"), 0x1A),
    ],
)
def test_the_configured_order_comes_first_and_unknown_names_are_passed_over(
    formats: tuple[str, ...], trace: int
) -> None:
    assert read({**B3, **MULTI, **W3C, **JAEGER}, formats).trace_id == trace


@pytest.mark.parametrize("formats", [DEFAULT, ("jaeger",), ()])
@pytest.mark.parametrize(("headers", "trace"), [(B3, 0xB3), (MULTI, 0xB33), (W3C, 0x3C), (JAEGER, 0x1A)])
def test_every_known_format_is_read_whatever_is_configured(
    formats: tuple[str, ...], headers: dict[str, str], trace: int
) -> None:
    assert read(headers, formats).trace_id == trace


def test_the_single_b3_header_wins_and_a_malformed_one_does_not() -> None:
    for formats in (("b3",), ("b3multi",), ("b3multi", "b3")):
        assert read({**B3, **MULTI}, formats).trace_id == 0xB3
        assert read({"b3": "not-a-tumor", **MULTI}, formats).trace_id == 0xB33


def test_ids_that_are_malformed_leave_it_to_the_next_format() -> None:
    assert read({**MULTI, **W3C, "x-b3-sampled": "?"}).trace_id == 0x3C
    assert read({"traceparent": "00-0-0-00", **JAEGER}, ("tracecontext",)).trace_id == 0x1A


@pytest.mark.parametrize(
    ("headers", "decision", "flags"),
    [
        ({"b3": "0"}, False, 0),
        ({"b3": "1"}, True, SAMPLED),
        ({"b3": "d"}, True, SAMPLED | DEBUG),
        ({"x-b3-sampled": "false"}, False, 0),
        ({"x-b3-flags": "1"}, True, SAMPLED | DEBUG),
    ],
)
def test_a_state_without_ids_is_kept_unless_ids_come(headers: dict[str, str], decision: bool, flags: int) -> None:
    alone = read(headers)
    assert (alone.trace_id, alone.span_id, alone.decision, alone.flags) == (0, 0, decision, flags)
    assert read({**headers, **W3C}).trace_id == 0x3C


def test_a_traceparent_of_the_same_trace_gives_its_tracestate_and_random_flag() -> None:
    headers = {
        "b3": f"{TRACE:032x}-{SPAN:016x}-d",
        "traceparent": f"00-{TRACE:032x}-{SPAN:016x}-02",
        "tracestate": "foo=1",
    }
    remote = read(headers)
    assert (remote.flags, remote.trace_state, remote.decision) == (SAMPLED | DEBUG | RANDOM, "foo=1", True)
    other = read({**headers, "traceparent": f"00-{TRACE + 1:032x}-{SPAN:016x}-02"})
    assert (other.trace_id, other.flags, other.trace_state) == (TRACE, SAMPLED | DEBUG, None)


HEX = f"{TRACE:032x}"


def beside(state: str | None = "", flags: str = "01", trace: str = HEX, **b3: str) -> Remote:
    """B3 that names span 1 and is sampled, and a traceparent that names span 2, with this tracestate."""
    headers = {
        "x-b3-traceid": HEX,
        "x-b3-spanid": "0000000000000001",
        "x-b3-sampled": "1",
        "traceparent": f"00-{trace}-0000000000000002-{flags}",
        **b3,
    }
    return read(headers if state is None else {**headers, "tracestate": state})


@pytest.mark.parametrize("state", ["", " ", "\t "])
def test_an_empty_tracestate_says_that_a_sidecar_renewed_the_traceparent_alone(state: str) -> None:
    """Envoy's opentelemetry tracer: B3 passed it unchanged and still names the caller, whose call the sidecar's span
    is.
    """
    remote = beside(state)
    assert (remote.trace_id, remote.span_id, remote.decision) == (TRACE, 2, True)
    assert remote.flags == SAMPLED
    assert remote.trace_state is None


def test_the_decision_of_who_renewed_it_counts_but_for_a_debug() -> None:
    denied = beside(flags="00")
    assert (denied.span_id, denied.decision, denied.flags) == (2, False, 0)
    debug = beside(flags="00", **{"x-b3-flags": "1"})
    assert (debug.span_id, debug.decision, debug.flags) == (2, True, SAMPLED | DEBUG)


@pytest.mark.parametrize("state", [None, "foo=1"])
def test_without_that_sign_the_configured_order_holds(state: str | None) -> None:
    assert beside(state, flags="03").span_id == 1


def test_a_traceparent_of_another_trace_changes_nothing() -> None:
    other = beside(trace="0" * 31 + "1", flags="00")
    assert (other.trace_id, other.span_id, other.decision) == (TRACE, 1, True)


def test_64_bits_stay_so_where_the_traceparent_is_the_newer() -> None:
    short = beside(trace="0" * 16 + HEX[16:], **{"x-b3-traceid": HEX[16:]})
    assert (short.span_id, short.flags) == (2, SAMPLED | SHORT)


def test_baggage_is_read_always_and_w3c_wins_over_jaeger() -> None:
    headers = {"baggage": "a=1,b=2", "uberctx-a": "9", "uberctx-c": "3"}
    remote = Propagator(()).extract(headers.get, headers)
    assert remote is not None
    assert (remote.trace_id, remote.decision, remote.baggage) == (0, None, {"a": "1", "b": "2", "c": "3"})
    both = Propagator(()).extract({**W3C, **headers}.get)
    assert both is not None
    assert (both.trace_id, both.baggage) == (0x3C, {"a": "1", "b": "2"})


def test_nothing_of_a_trace_is_none() -> None:
    assert Propagator(DEFAULT).extract({}.get) is None
    assert Propagator(DEFAULT).extract({"tracestate": "foo=1", "x-b3-flags": "0", "baggage": ""}.get) is None


def test_only_the_configured_formats_are_written_in_their_order() -> None:
    one = span(parent_id=PARENT, trace_state="foo=1")
    trace, own = f"{TRACE:032x}", f"{SPAN:016x}"
    assert Propagator(DEFAULT).headers(one, {"a": "1"}, (("sw8", "x"),)) == [
        ("X-B3-TraceId", trace),
        ("X-B3-SpanId", own),
        ("X-B3-Sampled", "1"),
        ("X-B3-ParentSpanId", "0020000000000001"),
        ("traceparent", f"00-{trace}-{own}-01"),
        ("tracestate", "foo=1"),
        ("baggage", "a=1"),
        ("sw8", "x"),
    ]
    assert [name for name, _ in Propagator(("jaeger", "b3")).headers(one, {"a": "1"})] == [
        "uber-trace-id",
        "b3",
        "uberctx-a",
    ]
    assert Propagator(()).headers(one, {"a": "1"}) == []
    assert "X-B3-ParentSpanId" not in dict(Propagator(DEFAULT).headers(one, parent=False))


def test_64_bits_stay_64_bits_in_every_format_but_w3c() -> None:
    short = span(SHORT_TRACE, flags=SAMPLED | SHORT)
    written = dict(Propagator(FORMATS).headers(short))
    assert written["X-B3-TraceId"] == "48485a3953bb6124"
    assert written["b3"].startswith("48485a3953bb6124-")
    assert written["uber-trace-id"].startswith("48485a3953bb6124:")
    assert written["traceparent"].startswith("00-000000000000000048485a3953bb6124-")


@pytest.mark.parametrize("ids", [(0, SPAN), (TRACE, 0), (0, 0)])
def test_a_span_without_ids_is_not_written_but_the_rest_is(ids: tuple[int, int]) -> None:
    assert Propagator(("b3", *DEFAULT, "jaeger")).headers(span(*ids), None, (("sw8", "x"),)) == [("sw8", "x")]


def test_every_format_that_the_setting_allows_is_written() -> None:
    for name in settings.FORMATS:
        assert Propagator((name,)).headers(span(), {"a": "1"}), name
    assert {*_READERS, *_WRITERS, *_BAGGAGE_WRITERS} == set(settings.FORMATS)


def test_known_names_are_all_that_any_format_uses() -> None:
    propagator = Propagator(("b3multi",), ("X-Tenant",))
    written = Propagator((*FORMATS, "baggage")).headers(span(parent_id=1, trace_state="a=1", flags=257), {"a": "1"})
    names = {name.lower() for name, _ in written if not name.startswith("uberctx-")}
    known = propagator.readable | propagator.stale
    assert names < known
    assert known >= {"x-request-id", "x-tenant", "sw8", "x_datadog_kafka_produced", "x-datadog-tags"}
    assert known - propagator.stale == {"x-request-id", "x-tenant", "baggage"}


@given(spans(), st.lists(st.sampled_from(FORMATS), min_size=1, unique=True))
def test_what_one_of_us_writes_the_next_reads(one: Any, formats: list[str]) -> None:
    written = Propagator(formats).headers(one)
    assert all(value and value.isascii() and value.isprintable() for _, value in written)
    remote = read({name.lower(): value for name, value in written}, tuple(formats))
    assert (remote.trace_id, remote.span_id) == (one.trace_id, one.span_id)
    assert remote.decision is bool(one.flags & SAMPLED)
    if "tracecontext" in formats:
        assert remote.flags & RANDOM == one.flags & RANDOM
    if formats[0] != "tracecontext":
        assert remote.flags & DEBUG == one.flags & DEBUG
    assert remote.flags & SHORT == one.flags & SHORT


@given(
    st.dictionaries(
        st.sampled_from(sorted(Propagator(()).readable | Propagator(()).stale)) | st.just("uberctx-a"), junk
    )
)
def test_no_text_raises_and_what_was_read_can_be_sent(headers: dict[str, str]) -> None:
    propagator = Propagator((*FORMATS, "baggage"))
    remote = propagator.extract(headers.get, headers)
    if remote is not None:
        for name, value in propagator.headers(span(trace_state=remote.trace_state), remote.baggage, remote.forwarded):
            assert name.isascii()
            assert value
            assert value.isascii()
            assert value.isprintable()


def test_importing_it_loads_nothing_but_itself() -> None:
    code = (
        "import sys; before = set(sys.modules); import autotrace.propagation.carriers; "
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('autotrace') and m != '__future__'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
