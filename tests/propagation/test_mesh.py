"""The mesh's headers: which are passed on, which never, and that each value is sent as it came."""

from __future__ import annotations

import pytest
from hypothesis import given

from autotrace.propagation import Propagator, carriers, mesh

from .spans import junk, span

CONTRACT = (
    "x-request-id",
    "x-ot-span-context",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "sw8",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
)


def test_every_header_of_the_contract_is_read_and_sent_byte_for_byte() -> None:
    propagator = Propagator(("b3multi",))
    headers = {name: f"{name}/A-b+C= 9;~" for name in CONTRACT}
    remote = propagator.extract(headers.get)
    assert remote is not None
    assert (remote.trace_id, remote.decision) == (0, None)
    assert remote.forwarded == tuple(headers.items())
    assert propagator.headers(span(), None, remote.forwarded)[-8:] == list(headers.items())


def test_the_setting_adds_names_in_any_case_once() -> None:
    assert mesh.forwardable(["X-Tenant", " x-tenant ", "SW8", "x-shard"]) == (*mesh.names, "x-tenant", "x-shard")


@pytest.mark.parametrize(
    "name", ["Cookie", "authorization", "Proxy-Authorization", "host", "content-length", "a b", ""]
)
def test_secrets_framing_and_nonsense_are_never_passed_on(name: str) -> None:
    assert mesh.forwardable([name]) == mesh.names
    remote = Propagator(("b3multi",), (name,)).extract({name.lower(): "secret", "x-request-id": "1"}.get)
    assert remote is not None
    assert remote.forwarded == (("x-request-id", "1"),)


def test_a_trace_header_cannot_be_made_a_forwarded_one() -> None:
    propagator = Propagator(("b3multi",), ("traceparent", "b3", "X-B3-TraceId", "baggage"))
    assert propagator.extract({"traceparent": "nonsense", "b3": "nonsense"}.get) is None


@pytest.mark.parametrize("value", ["", "  ", "a\r\nx-admin: 1", "a\x00", "caf\xe9", "\ud800", "x" * 8193])
def test_a_value_that_cannot_be_sent_is_left_out(value: str) -> None:
    assert mesh.extract({"x-request-id": value, "sw8": "1"}.get, mesh.names) == (("sw8", "1"),)


def test_the_setting_works_through_every_carrier() -> None:
    propagator = Propagator(("b3multi",), ("X-Tenant",))
    for remote in (
        carriers.extract_wsgi(propagator, {"HTTP_X_TENANT": "t1"}),
        carriers.extract_http(propagator, {"X-Tenant": "t1"}),
        carriers.extract_kafka(propagator, [("X-TENANT", b"t1")]),
    ):
        assert remote is not None
        assert remote.forwarded == (("x-tenant", "t1"),)


@given(junk)
def test_what_is_passed_on_can_always_be_sent(value: str) -> None:
    for _, text in mesh.extract({"sw8": value}.get, mesh.names):
        assert text == value.strip(" \t")
        assert text
        assert text.isprintable()
        text.encode("ascii")
