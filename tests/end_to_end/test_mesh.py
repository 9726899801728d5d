"""The eshop through six real Envoys, with either tracer of Istio's: one tree, with the sidecars' spans in it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from examples.eshop.demo import ANSWER
from examples.eshop.mesh import SIDECAR_SPANS, MeshShop
from examples.eshop.story import STEPS, faults
from examples.harness import sidecars
from examples.harness.expected_tags import Places
from examples.harness.relations import identity, parent_of
from test_services import cache, envoy
from test_services.envoy import TRACERS, Tracing
from test_services.jaeger_thrift import ReceivedSpan
from test_services.receiver import Receiver
from test_services.sidecar_spans import SidecarSpans
from tests.end_to_end.backends import Backends

Trace = list[ReceivedSpan]

_TRACE, _CALLER = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"
_REQUEST_ID = "3e1f9d6a-0c58-9b7e-a1d2-5f0c8e7b6a49"  # 9: sampled
_SAMPLED = {
    "zipkin": {"x_b3_traceid": _TRACE, "x_b3_spanid": _CALLER, "x_b3_sampled": "1"},
    "opentelemetry": {"traceparent": f"00-{_TRACE}-{_CALLER}-01"},
}


class Mesh(NamedTuple):
    shop: MeshShop
    programs: Receiver
    sidecars: SidecarSpans
    places: Places

    def trace(self, programs: int = len(STEPS), sidecars: int = SIDECAR_SPANS) -> Trace:
        return [*self.programs.wait(programs, seconds=30), *self.sidecars.wait(sidecars, seconds=30)]

    def ask(self, **headers: str) -> int:
        """The status of a checkout, asked for with these headers (`_` for `-`)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.shop.doors["eshop"] + "/checkout", headers=named)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module", autouse=True)
def real_envoy() -> None:
    try:
        envoy.program()
    except cache.Unavailable as reason:
        cache.require_real("envoy", reason, "its tests are skipped")
        pytest.skip("envoy cannot be had")


@pytest.fixture
def running(backends: Backends, opened: ExitStack) -> Callable[..., Mesh]:
    """Up until the test's end. The formats are the default ones, for both tracers."""

    def run(tracer: str, percent: float = 100, database: str = "", **settings: str) -> Mesh:
        receiver, collector = opened.enter_context(Receiver()), opened.enter_context(SidecarSpans())
        everywhere = {"AUTOTRACE_ENDPOINT": receiver.http_url, "AUTOTRACE_FLUSH_SECONDS": "0.2"}
        tracing = Tracing(tracer, collector.port, percent)
        all_settings = {**everywhere, **settings}
        shop = opened.enter_context(MeshShop(backends.kafka, database or backends.database.url, all_settings, tracing))
        return Mesh(shop, receiver, collector, Places(shop.doors, backends.kafka, backends.database))

    return run


@pytest.mark.parametrize("tracer", TRACERS)
class TestTheWholeTree:
    def test_has_every_sidecars_span_between_the_programs_and_one_request_id(
        self, running: Callable[..., Mesh], tracer: str
    ) -> None:
        """Also across Kafka: the consumer's REST call passes two sidecars, with the x-request-id of the checkout."""
        own = running(tracer)
        assert own.shop.checkout().decode() == ANSWER
        trace = own.trace()
        assert sidecars.faults(trace) == []
        assert faults(sidecars.without(trace), own.places) == []
        assert len([span for span in trace if sidecars.of_sidecar(span)]) == SIDECAR_SPANS == 9

    def test_an_id_and_a_decision_that_come_from_outside_pass_every_hop(
        self, running: Callable[..., Mesh], tracer: str
    ) -> None:
        own = running(tracer)
        assert own.ask(x_request_id=_REQUEST_ID) == 200
        trace = own.trace()
        assert sidecars.faults(trace) == []
        assert {span.tags[sidecars.REQUEST_ID] for span in trace if sidecars.of_sidecar(span)} == {_REQUEST_ID}

    def test_what_the_first_sidecar_does_not_sample_nobody_records(
        self, running: Callable[..., Mesh], tracer: str
    ) -> None:
        """The second checkout is sampled outside. All of its spans come after those that the first would have.

        With the opentelemetry tracer only its x-request-id keeps it sampled on every hop.
        """
        own = running(tracer, percent=0)
        assert own.shop.checkout().decode() == ANSWER
        assert own.ask(x_request_id=_REQUEST_ID, **_SAMPLED[tracer]) == 200
        assert {span.trace_id for span in own.trace()} == {int(_TRACE, 16)}

    def test_a_failure_is_in_every_span_from_its_cause_to_the_outside(
        self, running: Callable[..., Mesh], backends: Backends, tracer: str
    ) -> None:
        joint = "&" if "?" in backends.database.url else "?"
        own = running(tracer, database=f"{backends.database.url}{joint}options=-csearch_path%3Dpg_catalog")
        assert own.ask() == 500
        trace = own.trace(programs=6, sidecars=5)
        assert sidecars.faults(trace) == []
        (cause,) = [span for span in trace if "db.statement" in span.tags]
        line, one = [], parent_of(cause, trace)
        while one is not None:
            line.append((*identity(one), str(one.tags.get("error")).lower(), str(one.tags.get("http.status_code"))))
            one = parent_of(one, trace)
        assert cause.tags["error"] is True
        assert line == [
            ("billing", "/payment", "server", "true", "500"),
            ("billing-sidecar", "/payment", "server", "true", "500"),
            ("eshop-sidecar", "/payment", "client", "true", "500"),
            ("eshop", "/payment", "client", "true", "500"),
            ("eshop", "/checkout", "server", "true", "500"),
            ("eshop-sidecar", "/checkout", "server", "true", "500"),
        ]

    def test_a_service_that_is_away_fails_in_the_sidecars_and_in_its_caller(
        self, running: Callable[..., Mesh], tracer: str
    ) -> None:
        own = running(tracer)
        own.shop.stop("billing")
        assert own.ask() == 500
        trace = own.trace(programs=4, sidecars=5)
        unanswered = ("('billing-sidecar', '/payment', 'server')", "('eshop-sidecar', '/payment', 'client')")
        assert sorted(sidecars.faults(trace)) == [f"{one}: no program went on from it" for one in unanswered]
        statuses = {identity(span): span.tags["http.status_code"] for span in trace if span.tags.get("error")}
        assert {key: str(status) for key, status in statuses.items()} == {
            ("billing-sidecar", "/payment", "server"): "503",
            ("eshop-sidecar", "/payment", "client"): "503",
            ("eshop", "/payment", "client"): "503",
            ("eshop", "/checkout", "server"): "500",
            ("eshop-sidecar", "/checkout", "server"): "500",
        }


class TestTheFormatsOrder:
    def test_w3c_alone_does_with_the_opentelemetry_tracer(self, running: Callable[..., Mesh]) -> None:
        own = running("opentelemetry", AUTOTRACE_PROPAGATORS="tracecontext,baggage")
        assert own.shop.checkout().decode() == ANSWER
        trace = own.trace()
        assert sidecars.faults(trace) == []
        assert faults(sidecars.without(trace), own.places) == []

    def test_with_w3c_before_b3_zipkins_sidecars_are_bypassed(self, running: Callable[..., Mesh]) -> None:
        """Why docs/istio.md asks for B3 first; the request-id and the programs' own tree are right all the same."""
        own = running("zipkin", AUTOTRACE_PROPAGATORS="tracecontext,b3multi,baggage")
        assert own.shop.checkout().decode() == ANSWER
        trace = own.trace()
        assert len({span.trace_id for span in trace}) == 1
        assert [line for line in sidecars.faults(trace) if "no program went on from it" in line]
        assert not [line for line in sidecars.faults(trace) if "x-request-id" in line]
        assert faults(sidecars.without(trace), own.places) == []
