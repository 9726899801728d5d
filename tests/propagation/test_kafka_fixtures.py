"""Kafka headers of other systems (kafka_writers.py) are read, and small readers with their rules read autotrace's.

The systems themselves, over a broker: tests/end_to_end/test_java_interop.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from autotrace.propagation import Propagator, carriers

from .kafka_writers import DATADOG, WRITTEN, Header, Ids, Written
from .spans import PARENT, SPAN, TRACE, span

DEFAULT = Propagator(("b3multi", "tracecontext", "baggage"))
EVERYTHING = Propagator(("b3multi", "b3", "tracecontext", "jaeger", "baggage"))
"""As a program sets it whose partners are of several kinds."""
OURS = (TRACE ^ 1, SPAN ^ 1)


@pytest.mark.parametrize("propagator", [DEFAULT, EVERYTHING], ids=["default", "everything"])
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_what_others_write_is_read(written: Written, propagator: Propagator) -> None:
    remote = carriers.extract_kafka(propagator, written.headers)
    assert remote is not None
    assert (remote.trace_id, remote.span_id) == (written.ids or (0, 0))
    assert remote.decision is written.decision
    assert (remote.baggage, remote.forwarded) == (written.baggage, written.forwarded)
    assert remote.trace_state == written.trace_state


def last(headers: list[Header], key: str) -> str | None:
    """org.apache.kafka Headers.lastHeader(key): the key exactly, the last of them."""
    values = [value for name, value in headers if name == key]
    return values[-1].decode() if values else None


def b3_multi(headers: list[Header]) -> Ids | None:
    """openzipkin/brave B3Propagation: names exactly as X-B3-TraceId, ids in lower-case hex."""
    trace, own = last(headers, "X-B3-TraceId"), last(headers, "X-B3-SpanId")
    return (int(trace, 16), int(own, 16)) if trace and own else None


def b3_single(headers: list[Header]) -> Ids | None:
    text = last(headers, "b3")
    if text is None:
        return None
    trace, own, sampled = text.split("-")  # a fourth part, the parent, would be for RPC alone
    assert sampled in ("0", "1", "d")
    return int(trace, 16), int(own, 16)


def brave(headers: list[Header]) -> Ids | None:
    """KafkaConsumerRequest.GETTER is lastHeader; B3Propagation's extractor asks for `b3` first, then for
    the several.
    """
    return b3_single(headers) or b3_multi(headers)


def opentracing_b3(headers: list[Header]) -> Ids | None:
    """HeadersMapExtractAdapter: a HashMap, the last of each name. B3TextMapCodec walks it and knows no case: two
    spellings of one name would be read in the order of their hashes.
    """
    spellings = {name for name, _ in headers if name.lower().startswith("x-b3-")}
    assert len({name.lower() for name in spellings}) == len(spellings)
    return b3_multi(headers)


def opentracing_jaeger(headers: list[Header]) -> Ids | None:
    """TextMapCodec: decodes where it is told to; JaegerSpanContext's contextFromString wants four parts in hex."""
    text = last(headers, "uber-trace-id")
    if text is None:
        return None
    trace, own, parent, flags = unquote(text).split(":")
    assert len(trace) <= 32
    assert len(own) <= 16
    assert int(parent, 16) in (0, PARENT)
    assert int(flags) & 1
    return int(trace, 16), int(own, 16)


def w3c(headers: list[Header]) -> Ids | None:
    """opentelemetry-java W3CTraceContextPropagator on KafkaConsumerRecordGetter (lastHeader): 55 characters, lower
    case.
    """
    text = last(headers, "traceparent")
    if text is None:
        return None
    version, trace, own, flags = text.split("-")
    assert (version, len(text), flags, text.lower()) == ("00", 55, "01", text)
    return int(trace, 16), int(own, 16)


def spring(headers: list[Header]) -> Ids | None:
    """Micrometer Tracing: management.tracing.propagation.consume has W3C, B3 and B3_MULTI; all must agree."""
    found = {ids for ids in (w3c(headers), b3_single(headers), b3_multi(headers)) if ids}
    assert len(found) <= 1
    return next(iter(found), None)


def datadog(headers: list[Header]) -> Ids | None:
    """dd-trace-java: datadog before tracecontext, names in any case; so no x-datadog-* of a relayed record
    may be left.
    """
    assert not [name for name, _ in headers if name.lower().startswith(("x-datadog-", "x_datadog_"))]
    return w3c(headers)


READERS: dict[str, Callable[[list[Header]], Ids | None]] = {
    "opentracing-kafka-client, B3": opentracing_b3,
    "Brave": brave,
    "OpenTelemetry Java": w3c,
    "Spring": spring,
    "Datadog": datadog,
}
NEED_A_SETTING = {"opentracing-kafka-client, Jaeger": opentracing_jaeger, "Spring, B3 alone": b3_single}


def sent(propagator: Propagator, headers: Any, baggage: dict[str, str] | None = None) -> Any:
    ours = span(OURS[0], OURS[1], parent_id=PARENT)
    return carriers.inject_kafka(propagator, headers, ours, baggage, ())


class TestWhatWeWrite:
    @pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
    def test_is_read_by_each_with_the_default_settings(self, reader: Any) -> None:
        assert reader(sent(DEFAULT, None)) == OURS

    @pytest.mark.parametrize("reader", NEED_A_SETTING.values(), ids=NEED_A_SETTING)
    def test_is_read_by_the_others_once_the_setting_says_so(self, reader: Any) -> None:
        assert reader(sent(DEFAULT, None)) is None
        assert reader(sent(EVERYTHING, None)) == OURS

    @pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
    @pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
    def test_is_read_by_each_when_a_record_of_any_other_is_relayed(self, written: Written, reader: Any) -> None:
        """`send(headers=record.headers)`: nobody may find the hop before ours, whichever header they look at."""
        before = list(written.headers)
        for propagator in (DEFAULT, EVERYTHING):
            assert reader(sent(propagator, written.headers)) == OURS
        assert written.headers == before

    @pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
    def test_leaves_the_others_own_headers_where_they_were(self, written: Written) -> None:
        foreign = ("mine", "__TypeId__", "spring_json_header_types", "dd-pathway-ctx-base64")
        kept = [header for header in written.headers if header[0] in foreign]
        assert [header for header in sent(DEFAULT, written.headers) if header[0] in foreign] == kept

    def test_names_no_parent_and_each_name_once(self) -> None:
        names = [name for name, _ in sent(EVERYTHING, None)]
        assert len(set(names)) == len(names)
        assert "X-B3-ParentSpanId" not in names

    def test_baggage_is_read_by_opentelemetry_java_and_by_jaeger(self) -> None:
        """W3CBaggagePropagator decodes percent-coding; TextMapCodec takes each `uberctx-` header for an item."""
        headers = sent(EVERYTHING, None, {"who": "a b"})
        assert last(headers, "baggage") == "who=a%20b"
        assert unquote(last(headers, "uberctx-who") or "") == "a b"

    @pytest.mark.parametrize("propagator", [DEFAULT, EVERYTHING], ids=["default", "everything"])
    def test_baggage_of_the_hop_before_is_not_beside_ours(self, propagator: Propagator) -> None:
        """Jaeger's is a header an item, which it would read whatever else is there."""
        relayed = sent(
            propagator, [("uberctx-who", b"old"), ("UberCtx-gone", b"1"), ("baggage", b"who=old")], {"who": "new"}
        )
        values = [value for name, value in relayed if name.lower().startswith(("uberctx-", "baggage"))]
        assert set(values) <= {b"new", b"who=new"}

    def test_ids_of_datadogs_go_on_beside_ours_from_a_record_in_work(self) -> None:
        """Not a relay's: as the mesh's other headers, so that Datadog on both sides of us is as without us."""
        remote = carriers.extract_kafka(DEFAULT, WRITTEN["Datadog"].headers)
        assert remote is not None
        ours = carriers.inject_kafka(DEFAULT, WRITTEN["Datadog"].headers, span(*OURS), None, remote.forwarded)
        assert w3c(ours) == OURS
        assert [header for header in ours if header[0].startswith(("x-datadog-", "x_datadog_"))] == DATADOG
