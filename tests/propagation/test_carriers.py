"""Carriers: extracting survives any garbage, injecting never touches the caller's headers."""

from __future__ import annotations

from email.message import Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from werkzeug.datastructures import EnvironHeaders, Headers

from autotrace.propagation import Propagator, Remote, carriers
from autotrace.propagation.context import RANDOM, SAMPLED

from .spans import PARENT, SPAN, TRACE, junk, span, spans

PROPAGATOR = Propagator(("b3multi", "tracecontext", "baggage"))
W3C = Propagator(("tracecontext",))
TRACEPARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"
OTHER = f"00-{TRACE + 1:032x}-{SPAN:016x}-01"
KAFKA = [
    ("X-B3-TraceId", f"{TRACE:032x}".encode()),
    ("X-B3-SpanId", f"{SPAN:016x}".encode()),
    ("X-B3-Sampled", b"1"),
    ("traceparent", TRACEPARENT.encode()),
]


def environ(headers: dict[str, str]) -> dict[str, Any]:
    named = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    return {"REQUEST_METHOD": "GET", "wsgi.version": (1, 0), "CONTENT_TYPE": "text/plain", **named}


def message(pairs: list[tuple[str, str]]) -> Message:
    headers = Message()
    for name, value in pairs:
        headers[name] = value
    return headers


SHAPES: dict[str, Any] = {
    "dict": dict,
    "dict in lower case": lambda headers: {name.lower(): value for name, value in headers.items()},
    "dict in upper case": lambda headers: {name.upper(): value for name, value in headers.items()},
    "requests": CaseInsensitiveDict,
    "http.client and http.server": lambda headers: message(list(headers.items())),
    "werkzeug": Headers,
    "werkzeug's environ": lambda headers: EnvironHeaders(environ(headers)),
    "pairs": lambda headers: list(headers.items()),
    "ASGI": lambda headers: [(name.lower().encode(), value.encode()) for name, value in headers.items()],
}


class TestReadingHttp:
    HEADERS = {
        "X-B3-TraceId": f"{TRACE:032x}",
        "X-B3-SpanId": f"{SPAN:016x}",
        "X-B3-Sampled": "0",
        "traceparent": f"00-{TRACE:032x}-{SPAN:016x}-02",
        "TraceState": "foo=1",
        "Baggage": "a=%20",
        "uberctx-b": "2",
        "X-Request-Id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
        "Accept": "*/*",
    }

    def check(self, remote: Remote | None) -> None:
        assert remote is not None
        assert (remote.trace_id, remote.span_id, remote.decision) == (TRACE, SPAN, False)
        assert (remote.flags, remote.trace_state) == (RANDOM, "foo=1")
        assert remote.baggage == {"a": " ", "b": "2"}
        assert remote.forwarded == (("x-request-id", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"),)

    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_every_shape_of_headers_is_read(self, shape: Any) -> None:
        self.check(carriers.extract_http(PROPAGATOR, shape(self.HEADERS)))

    def test_an_environ_is_read(self) -> None:
        self.check(carriers.extract_wsgi(PROPAGATOR, environ(self.HEADERS)))

    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_headers_without_a_trace_are_none(self, shape: Any) -> None:
        headers = {"Host": "x", "User-Agent": "y", "X-B3-Tracexx": "1", "unrelated": "z", "Trace-Parent": TRACEPARENT}
        assert carriers.extract_http(PROPAGATOR, shape(headers)) is None
        assert carriers.extract_wsgi(PROPAGATOR, environ(headers)) is None

    def test_jaeger_baggage_has_dashes_again_after_wsgi(self) -> None:
        remote = carriers.extract_wsgi(PROPAGATOR, environ({"uberctx-User-Id": "7"}))
        assert remote is not None
        assert remote.baggage == {"user-id": "7"}

    def test_a_mapping_that_can_only_get_is_read(self) -> None:
        class OnlyGet:
            def get(self, name: str) -> str | None:
                return TRACEPARENT if name == "traceparent" else None

        remote = carriers.extract_http(PROPAGATOR, OnlyGet())
        assert remote is not None
        assert remote.trace_id == TRACE

    @pytest.mark.parametrize("shape", [Headers, list, message])
    def test_several_headers_of_a_name_are_joined_in_order(self, shape: Any) -> None:
        pairs = [("traceparent", TRACEPARENT), ("tracestate", "foo=1,bar=2"), ("TraceState", ""), ("tracestate", "c=3")]
        remote = carriers.extract_http(W3C, shape(pairs))
        assert remote is not None
        assert remote.trace_state == "foo=1,bar=2,c=3"
        assert carriers.extract_http(W3C, shape([("traceparent", TRACEPARENT), ("Traceparent", OTHER)])) is None

    def test_a_server_that_joined_them_is_understood(self) -> None:
        joined = {"HTTP_TRACEPARENT": TRACEPARENT, "HTTP_TRACESTATE": "foo=1, bar=2,"}
        remote = carriers.extract_wsgi(W3C, joined)
        assert remote is not None
        assert remote.trace_state == "foo=1,bar=2"
        assert carriers.extract_wsgi(W3C, {"HTTP_TRACEPARENT": f"{TRACEPARENT},{OTHER}"}) is None

    @pytest.mark.parametrize(
        "garbage", [None, 0, 5, "text", b"bytes", [1], [()], [(1, 2, 3)], {1: 2}, {None: None}, object()]
    )
    def test_garbage_is_none(self, garbage: Any) -> None:
        assert carriers.extract_http(PROPAGATOR, garbage) is None
        assert carriers.extract_wsgi(PROPAGATOR, garbage) is None

    @pytest.mark.parametrize("value", [None, 5, b"x", object(), ["x"]])
    def test_a_value_that_is_no_text_is_none(self, value: Any) -> None:
        assert carriers.extract_http(PROPAGATOR, {"traceparent": value}) is None
        assert carriers.extract_wsgi(PROPAGATOR, {"HTTP_TRACEPARENT": value}) is None

    @given(
        st.dictionaries(st.sampled_from(sorted(PROPAGATOR.readable | PROPAGATOR.stale)) | st.just("UberCtx-a"), junk)
    )
    def test_no_text_raises(self, headers: dict[str, str]) -> None:
        carriers.extract_wsgi(PROPAGATOR, environ(headers))
        carriers.extract_http(PROPAGATOR, headers)


class TestReadingKafka:
    def test_names_in_any_case_are_read(self) -> None:
        for change in (str.lower, str.upper, str):
            remote = carriers.extract_kafka(PROPAGATOR, [(change(key), value) for key, value in KAFKA])
            assert remote is not None
            assert (remote.trace_id, remote.span_id, remote.decision) == (TRACE, SPAN, True)

    def test_the_last_of_a_name_counts_because_opentracing_appends(self) -> None:
        headers = [("traceparent", OTHER.encode()), ("a", b"1"), ("TraceParent", TRACEPARENT.encode())]
        remote = carriers.extract_kafka(PROPAGATOR, headers)
        assert remote is not None
        assert remote.trace_id == TRACE

    @pytest.mark.parametrize("garbage", [("traceparent", None), ("traceparent", OTHER), ("traceparent", b"\xff\xfe")])
    def test_a_value_that_cannot_be_read_does_not_hide_one_that_can(self, garbage: Any) -> None:
        for headers in ([KAFKA[3], garbage], [garbage, KAFKA[3]]):
            remote = carriers.extract_kafka(PROPAGATOR, headers)
            assert remote is not None
            assert remote.trace_id == TRACE

    @pytest.mark.parametrize(
        "garbage", [(), ("traceparent",), ("a", "b", "c"), None, 5, "xy", (None, b"1"), (5, b"1"), (b"b3", b"0")]
    )
    def test_an_element_that_is_no_header_is_passed_over(self, garbage: Any) -> None:
        remote = carriers.extract_kafka(PROPAGATOR, [garbage, *KAFKA, garbage])
        assert remote is not None
        assert remote.trace_id == TRACE

    @pytest.mark.parametrize(
        "garbage", [None, [], (), {}, 0, 5, "text", b"bytes", object(), [None], {"b3": None}, {5: 5}]
    )
    def test_garbage_is_none(self, garbage: Any) -> None:
        assert carriers.extract_kafka(PROPAGATOR, garbage) is None

    def test_a_dict_is_read_and_so_are_baggage_and_the_mesh(self) -> None:
        headers = {
            **dict(KAFKA),
            "baggage": b"a=1",
            "uberctx-b": b"2",
            "x-request-id": b"r",
            "x_datadog_kafka_produced": b"\xff" * 8,
        }
        remote = carriers.extract_kafka(PROPAGATOR, headers)
        assert remote is not None
        assert (remote.trace_id, remote.baggage, remote.forwarded) == (
            TRACE,
            {"a": "1", "b": "2"},
            (("x-request-id", "r"),),
        )

    @given(
        st.lists(
            st.tuples(st.sampled_from(sorted(PROPAGATOR.readable | PROPAGATOR.stale)), st.binary(max_size=60))
            | st.none()
            | st.text()
        )
    )
    def test_no_bytes_raise(self, headers: list[Any]) -> None:
        carriers.extract_kafka(PROPAGATOR, headers)


FOREIGN = [("a", b"1"), ("a", b"2"), ("content-type", b"\xff"), ("X-B3", b"n"), ("empty", b"")]
STALE = [
    ("x-b3-traceid", b"1"), ("X-B3-ParentSpanId", b"1"), ("B3", b"0"), ("TRACEPARENT", b"1"), ("tracestate", b"a=1"),
    ("uber-trace-id", b"1"), ("uberctx-a", b"1"), ("x-datadog-trace-id", b"1"), ("x-datadog-new", b"1"),
    ("x_datadog_kafka_produced", b"\x00" * 8), ("sw8", b"1"), ("x-ot-span-context", b"1"), ("grpc-trace-bin", b"\x00"),
    ("x-cloud-trace-context", b"1"), ("X-B3-Flags", None),
]  # fmt: skip


class TestWritingKafka:
    def test_without_headers_ours_alone_are_sent_as_bytes_and_without_parent(self) -> None:
        for nothing in (None, [], ()):
            assert carriers.inject_kafka(PROPAGATOR, nothing, span(parent_id=PARENT), None, ()) == KAFKA
        assert carriers.inject_kafka(PROPAGATOR, {}, span(), None, ()) == dict(KAFKA)

    @pytest.mark.parametrize("shape", [list, tuple])
    def test_the_callers_headers_stay_in_order_and_as_they_are_and_every_trace_header_goes(self, shape: Any) -> None:
        mixed = [header for pair in zip(STALE, FOREIGN * 3, strict=True) for header in pair]
        given_headers = shape(mixed)
        sent = carriers.inject_kafka(PROPAGATOR, given_headers, span(), None, ())
        assert type(sent) is list
        assert sent == FOREIGN * 3 + KAFKA
        assert all(ours is theirs for ours, theirs in zip(sent, FOREIGN * 3, strict=False))
        assert given_headers == shape(mixed), "the caller's own object is not touched"

    def test_a_dict_stays_a_dict(self) -> None:
        caller = {"a": b"1", "B3": b"0", "x-request-id": b"mine"}
        assert carriers.inject_kafka(PROPAGATOR, caller, span(), None, ()) == {
            "a": b"1",
            "x-request-id": b"mine",
            **dict(KAFKA),
        }
        assert caller == {"a": b"1", "B3": b"0", "x-request-id": b"mine"}

    def test_a_relayed_record_carries_the_new_span_once(self) -> None:
        first = carriers.inject_kafka(PROPAGATOR, None, span(span_id=1), {"a": "1"}, (("x-request-id", "r"),))
        second = carriers.inject_kafka(PROPAGATOR, first, span(), {"a": "1"}, (("x-request-id", "r"),))
        assert second == [*KAFKA, ("baggage", b"a=1"), ("x-request-id", b"r")]

    def test_what_is_the_programs_own_gives_way_only_to_the_same_name(self) -> None:
        caller = [("X-Request-Id", b"mine"), ("Baggage", b"mine=1")]
        assert carriers.inject_kafka(PROPAGATOR, caller, span(), None, ()) == caller + KAFKA
        sent = carriers.inject_kafka(PROPAGATOR, caller, span(), None, (("x-request-id", "r"),))
        assert sent == [("Baggage", b"mine=1"), *KAFKA, ("x-request-id", b"r")]
        sent = carriers.inject_kafka(PROPAGATOR, caller, span(), {"a": "1"}, ())
        assert sent == [("X-Request-Id", b"mine"), *KAFKA, ("baggage", b"a=1")]

    @pytest.mark.parametrize("garbage", [None, 5, "b3", (), [], (None, b"1"), (b"a", b"1"), ("a",), ("a", "b", "c")])
    def test_an_element_that_is_no_header_is_left_for_the_client_to_refuse(self, garbage: Any) -> None:
        assert carriers.inject_kafka(PROPAGATOR, [garbage], span(), None, ()) == [garbage, *KAFKA]

    def test_what_is_no_headers_at_all_is_given_back_unread(self) -> None:
        generator = (header for header in FOREIGN)
        for odd in (generator, "text", 5):
            assert carriers.inject_kafka(PROPAGATOR, odd, span(), None, ()) is odd
        assert len(list(generator)) == len(FOREIGN)

    @given(spans())
    def test_what_is_sent_is_received(self, one: Any) -> None:
        remote = carriers.extract_kafka(
            PROPAGATOR, carriers.inject_kafka(PROPAGATOR, FOREIGN + STALE, one, {"k": "v"}, ())
        )
        assert remote is not None
        assert (remote.trace_id, remote.span_id, remote.flags) == (one.trace_id, one.span_id, one.flags)
        assert (remote.decision, remote.baggage) == (bool(one.flags & SAMPLED), {"k": "v"})


MUTABLE = {name: SHAPES[name] for name in ("dict", "requests", "http.client and http.server", "werkzeug")}


class TestWritingHttp:
    @pytest.mark.parametrize("shape", MUTABLE.values(), ids=MUTABLE)
    def test_trace_headers_are_replaced_and_the_rest_stays(self, shape: Any) -> None:
        caller = {"Host": "x", **{name: "stale" for name, _ in STALE}, "X-Request-Id": "mine", "Baggage": "mine=1"}
        headers = shape(caller)
        carriers.inject_http(PROPAGATOR, headers, span(parent_id=PARENT), None, ())
        assert sorted(headers.items()) == sorted(
            [("Host", "x"), ("X-Request-Id", "mine"), ("Baggage", "mine=1")]
            + [(name, value.decode()) for name, value in KAFKA]
            + [("X-B3-ParentSpanId", f"{PARENT:016x}")]
        )

    @pytest.mark.parametrize("shape", MUTABLE.values(), ids=MUTABLE)
    def test_a_forwarded_header_and_baggage_take_the_place_of_the_callers(self, shape: Any) -> None:
        headers = shape({"X-Request-Id": "mine", "Baggage": "mine=1"})
        carriers.inject_http(W3C, headers, span(), {"a": "1"}, (("x-request-id", "r"),))
        assert sorted(headers.items()) == [("Baggage", "mine=1"), ("traceparent", TRACEPARENT), ("x-request-id", "r")]
        carriers.inject_http(Propagator(("baggage",)), headers, span(), {"a": "1"}, ())
        assert sorted(headers.items()) == [("baggage", "a=1"), ("x-request-id", "r")]

    def test_several_headers_of_a_name_are_all_removed(self) -> None:
        for headers in (Headers(), Message()):
            for _ in range(3):
                Headers.add(headers, "B3", "0") if isinstance(headers, Headers) else headers.add_header("B3", "0")
            carriers.inject_http(W3C, headers, span(), None, ())
            assert list(headers.items()) == [("traceparent", TRACEPARENT)]

    def test_a_multi_mapping_that_drops_all_of_a_name_at_once_is_no_trouble(self) -> None:
        class Multi(dict[str, str]):  # as multidict's: keys() repeats a name, del removes every header of it
            def keys(self) -> Any:
                return [*super().keys(), *super().keys()]

        headers = Multi({"B3": "0", "Host": "x"})
        carriers.inject_http(W3C, headers, span(), None, ())
        assert list(headers.items()) == [("Host", "x"), ("traceparent", TRACEPARENT)]

    def test_names_in_bytes_are_removed_and_other_keys_left(self) -> None:
        headers: Any = {b"B3": b"0", b"a": b"1", 5: 5}
        carriers.inject_http(W3C, headers, span(), None, ())
        assert headers == {b"a": b"1", 5: 5, "traceparent": TRACEPARENT}

    @given(spans())
    def test_what_is_sent_is_received(self, one: Any) -> None:
        headers: dict[str, str] = {}
        carriers.inject_http(PROPAGATOR, headers, one, {"k": "v w"}, (("sw8", "x"),))
        for remote in (carriers.extract_http(PROPAGATOR, headers), carriers.extract_wsgi(PROPAGATOR, environ(headers))):
            assert remote is not None
            assert (remote.trace_id, remote.span_id, remote.flags) == (one.trace_id, one.span_id, one.flags)
            assert (remote.baggage, remote.forwarded) == ({"k": "v w"}, (("sw8", "x"),))
