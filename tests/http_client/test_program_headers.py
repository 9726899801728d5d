"""The trace context in headers that the program passes: the parent of a span without another, and untouched where
signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
import requests
import urllib3
from opentelemetry import context, trace

from autotrace.http_client.call import Call
from autotrace.tracing import current, propagate
from tests.http_client import http_peer
from tests.http_client.clients import CLIENTS
from tests.http_client.http_peer import Peer
from tests.recorded import Recorded

Get = Callable[[str, Mapping[str, str]], int]
TRACE, SPAN = "1" * 32, "2" * 16
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
every_client = pytest.mark.parametrize("get", CLIENTS.values(), ids=CLIENTS)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with http_peer.peer() as server:
        yield server


def ids(span: object) -> tuple[str, str]:
    return f"{span.trace_id:032x}", f"{span.parent_id:016x}"  # type: ignore[attr-defined]


@every_client
@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": TRACEPARENT},
        {"TraceParent": TRACEPARENT, "tracestate": "a=1"},
        {"b3": f"{TRACE}-{SPAN}-1"},
        {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"},
        {"uber-trace-id": f"{TRACE}:{SPAN}:0:1"},
    ],
    ids=["w3c", "w3c with state", "b3", "b3multi", "jaeger"],
)
def test_a_context_that_the_program_hands_on_is_the_parent(
    peer: Peer, spans: Recorded, get: Get, headers: dict[str, str]
) -> None:
    assert get(peer.url + "/x", headers) == 200
    span = spans.one()
    assert ids(span) == (TRACE, SPAN)
    (received,) = peer.received
    assert received.header("traceparent") == f"00-{TRACE}-{span.span_id:016x}-01"
    assert received.header("X-B3-SpanId") == f"{span.span_id:016x}"
    assert received.header("tracestate") == headers.get("tracestate")
    assert received.header("b3") is received.header("uber-trace-id") is None


@every_client
def test_a_decision_against_sampling_is_heeded(peer: Peer, spans: Recorded, get: Get) -> None:
    get(peer.url + "/x", {"traceparent": f"00-{TRACE}-{SPAN}-00"})
    get(peer.url + "/x", {"X-B3-Sampled": "0"})
    assert spans == []
    first, second = (received.header("traceparent") or "" for received in peer.received)
    assert first.startswith(f"00-{TRACE}-") and first.endswith("-00") and SPAN not in first
    assert second.endswith("-00")


@every_client
@pytest.mark.parametrize("value", ["", "nonsense", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{SPAN}"])
def test_a_context_that_is_none_is_replaced(peer: Peer, spans: Recorded, get: Get, value: str) -> None:
    get(peer.url + "/x", {"traceparent": value})
    span = spans.one()
    assert span.parent_id == 0
    assert peer.received[0].header("traceparent") == f"00-{span.trace_id:032x}-{span.span_id:016x}-01"


@every_client
def test_below_an_active_span_it_is_stale(peer: Peer, spans: Recorded, get: Get) -> None:
    with trace.get_tracer("program").start_as_current_span("work") as outer:
        get(peer.url + "/x", {"traceparent": TRACEPARENT})
        child = spans.one()
        known = outer.get_span_context()
        assert (child.trace_id, child.parent_id) == (known.trace_id, known.span_id)
    assert SPAN not in (peer.received[0].header("traceparent") or "")


@every_client
def test_the_context_of_another_tracer_goes_along_with_the_parent(peer: Peer, spans: Recorded, get: Get) -> None:
    others = {
        "sw8": "1-a",
        "x-datadog-trace-id": "7",
        "x-datadog-origin": "rum",
        "baggage": "a=1;p",
        "x-request-id": "r",
    }
    get(peer.url + "/x", {"traceparent": TRACEPARENT, **others})
    assert {name: peer.received[0].header(name) for name in others} == others
    get(peer.url + "/x", {"sw8": "1-a"})
    assert peer.received[1].header("sw8") is None, "stale, because nothing says what it belongs to"


@every_client
def test_no_mapping_of_the_program_s_is_changed(peer: Peer, spans: Recorded, get: Get) -> None:
    headers = {"traceparent": TRACEPARENT}
    get(peer.url + "/x", headers)
    assert headers == {"traceparent": TRACEPARENT}


SIGNATURES = {
    "SigV4": (
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=AK/eu, SignedHeaders=host;traceparent;x-amz-date, Signature=0f",
    ),
    "RFC 9421": ("Signature-Input", 'sig1=("@method" "traceparent" "date");created=1;keyid="k"'),
    "Cavage": ("Signature", 'keyId="k",headers="(request-target) Traceparent date",signature="x"'),
    "a list": ("X-Ca-Signature-Headers", "x-ca-key,Traceparent"),
}


@every_client
@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.parametrize("active", [False, True])
def test_a_signed_context_stays_and_is_the_parent(
    peer: Peer, spans: Recorded, get: Get, signature: tuple[str, str], active: bool
) -> None:
    headers = dict([("traceparent", TRACEPARENT), ("tracestate", "a=1 ,b=2"), signature])
    if active:
        with trace.get_tracer("program").start_as_current_span("work"):
            get(peer.url + "/x", headers)
    else:
        get(peer.url + "/x", headers)
    (received,) = peer.received
    assert {name: received.header(name) for name in headers} == headers
    assert ids(spans.clients[0]) == (TRACE, SPAN)
    assert received.header("X-B3-SpanId") == f"{spans.clients[0].span_id:016x}"


@every_client
def test_a_presigned_url_names_what_it_signs(peer: Peer, spans: Recorded, get: Get) -> None:
    get(peer.url + "/x?X-Amz-SignedHeaders=host%3Btraceparent&X-Amz-Signature=0f", {"traceparent": TRACEPARENT})
    assert peer.received[0].header("traceparent") == TRACEPARENT
    assert ids(spans.one()) == (TRACE, SPAN)


@every_client
def test_another_signed_header_stays_while_the_trace_is_ours(peer: Peer, spans: Recorded, get: Get) -> None:
    remote = propagate.extract_http({"x-request-id": "of the caller", "traceparent": TRACEPARENT})
    assert remote is not None
    span = trace.get_tracer("program").start_span("work")
    token = current.enter(span, remote)  # type: ignore[arg-type]
    try:
        get(
            peer.url + "/x", {"x-request-id": "own", "Signature-Input": 's=("x-request-id")', "b3": f"{TRACE}-{SPAN}-1"}
        )
    finally:
        current.leave(token)
    (received,) = peer.received
    client = spans.clients[0]
    assert (received.header("x-request-id"), received.header("b3")) == ("own", None)
    assert client.parent_id == span.get_span_context().span_id
    assert received.header("X-B3-SpanId") == f"{client.span_id:016x}"


@every_client
@pytest.mark.parametrize("key", [current.SUPPRESS_HTTP_KEY, current.SUPPRESS_KEY])
def test_a_call_that_another_traces_is_left_alone(peer: Peer, spans: Recorded, get: Get, key: str) -> None:
    token = context.attach(context.set_value(key, True))
    try:
        assert get(peer.url + "/x", {"traceparent": TRACEPARENT}) == 200
    finally:
        context.detach(token)
    assert spans == []
    assert peer.received[0].header("traceparent") == TRACEPARENT
    assert peer.received[0].header("X-B3-TraceId") is None
    assert get(peer.url + "/x", {}) == 200
    assert len(spans) == 1


def test_names_that_are_no_text_are_nothing() -> None:
    span = Call("urllib3", None, "http://h/").start_exchange("GET", ["traceparent", ""], {"traceparent": 7, 8: "x"})
    assert span is not None
    assert span.parent_id == 0


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_a_request_that_is_never_sent_is_in_the_program_s_trace_too(spans: Recorded, library: str) -> None:
    """No name, no proxy, no tunnel: the span is made afterwards."""
    proxy, headers = f"http://127.0.0.1:{http_peer.free_port()}", {"traceparent": TRACEPARENT}
    if library == "requests":
        with pytest.raises(requests.exceptions.ProxyError):
            requests.get("https://example.invalid/", headers=headers, proxies={"https": proxy}, timeout=5)
    else:
        with pytest.raises(urllib3.exceptions.HTTPError), urllib3.ProxyManager(proxy) as pool:
            pool.request("GET", "https://example.invalid/", headers=headers, retries=False, timeout=5)
    assert ids(spans.one()) == (TRACE, SPAN)
    assert spans.one().failure is not None
