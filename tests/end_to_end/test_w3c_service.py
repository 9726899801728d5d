"""W3C Trace Context on the wire: examples/w3c under autotrace-run, asked through a plain socket, and what it then sends on."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from real_parts.processes import Server, free_ports
from tests.end_to_end.w3c_service import PARENT, VALID, Lines, Service, context, continues, is_new
from tests.http_peer import Peer
from tests.programs import ROOT, RUNNER
from tests.propagation import test_w3c as values

SETTINGS = {"tracecontext alone": {"AUTOTRACE_PROPAGATORS": "tracecontext"}, "the default set": {}}


@pytest.fixture(scope="module", params=SETTINGS.values(), ids=SETTINGS)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    (port,) = free_ports(1)
    program = [str(RUNNER), sys.executable, str(ROOT / "examples" / "w3c" / "service.py")]
    settings = {"AUTOTRACE_ENABLED": "true", "AUTOTRACE_EXPORTER": "none", **request.param}
    command = ["env", *(f"{name}={value}" for name, value in settings.items()), *program]
    environment = {"PORT": str(port), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    heard = Peer()
    server = Server(command, Path(tempfile.mkdtemp(prefix="autotrace-w3c-")), environment=environment)
    try:
        server.wait_until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
        yield Service(port, heard, b3=not request.param)
    finally:
        server.stop()
        heard.close()


class TestTraceparent:
    def test_without_one_the_service_begins_a_trace(self, service: Service) -> None:
        assert is_new(context(service, service.call()))

    @pytest.mark.parametrize("text", values.GOOD.values(), ids=values.GOOD)
    def test_a_valid_one_is_continued_with_a_parent_of_its_own(self, service: Service, text: str) -> None:
        sent = context(service, service.call(f"traceparent: {text}"))
        assert continues(sent) and sent.flags == "01"

    @pytest.mark.parametrize("text", values.BAD.values(), ids=values.BAD)
    def test_an_invalid_one_is_as_none_and_takes_its_tracestate_along(self, service: Service, text: str) -> None:
        assert is_new(context(service, service.call(f"traceparent: {text}", "tracestate: foo=1")))

    @pytest.mark.parametrize("name", ["traceparent", "TraceParent", "TRACEPARENT", "tRaCePaReNt"])
    def test_its_name_is_of_any_case(self, service: Service, name: str) -> None:
        assert continues(context(service, service.call(f"{name}: {VALID}")))

    @pytest.mark.parametrize("name", ["trace-parent", "trace.parent", "trace_parent", "x-traceparent", "traceparent2"])
    def test_names_that_look_like_it_are_none(self, service: Service, name: str) -> None:
        assert is_new(context(service, service.call(f"{name}: {VALID}")))

    @pytest.mark.parametrize("line", [f"traceparent:{VALID}", f"traceparent: \t {VALID}", f"traceparent:\t{VALID} \t"])
    def test_blanks_around_the_value_are_none_of_it(self, service: Service, line: str) -> None:
        assert continues(context(service, service.call(line)))

    @pytest.mark.parametrize("other", [VALID, f"00-{'1' * 32}-{'2' * 16}-01", "junk", ""])
    @pytest.mark.parametrize("names", [("traceparent", "traceparent"), ("traceparent", "Traceparent")])
    def test_two_are_none(self, service: Service, other: str, names: tuple[str, str]) -> None:
        lines = (f"{names[0]}: {VALID}", f"{names[1]}: {other}", "tracestate: foo=1")
        sent = context(service, service.call(*lines))
        assert is_new(sent) and sent.trace != "1" * 32

    @pytest.mark.parametrize(("came", "goes"), {"00": "00", "01": "01", "02": "02", "03": "03", "ff": "03"}.items())
    def test_the_callers_decision_and_its_random_flag_go_on(self, service: Service, came: str, goes: str) -> None:
        sent = context(service, service.call(f"traceparent: {VALID[:-2]}{came}"))
        assert continues(sent) and sent.flags == goes

    def test_64_bits_stay_32_digits(self, service: Service) -> None:
        sent = service.call(f"traceparent: 00-{'0' * 16}{'c' * 16}-{PARENT}-01")
        assert (sent.header("traceparent") or "").startswith(f"00-{'0' * 16}{'c' * 16}-")
        assert sent.header("x-b3-traceid") == ("c" * 16 if service.b3 else None)


ON_THE_WIRE = {name: text for name, text in values.BAD_STATES.items() if "\n" not in text and "\x00" not in text}

SEVERAL = {
    "two": (("foo=1", "bar=2"), "foo=1,bar=2"),
    "three, one with more members": (("foo=1,bar=2", "rojo=1,congo=2", "baz=3"), "foo=1,bar=2,rojo=1,congo=2,baz=3"),
    "an empty one first": (("", "foo=1"), "foo=1"),
    "an empty one last": (("foo=1", ""), "foo=1"),
    "an empty one between": (("foo=1", "", "bar=2"), "foo=1,bar=2"),
    "blanks around each": ((" \tfoo=1 \t", "\tbar=2 "), "foo=1,bar=2"),
    "a key in both": (("foo=1", "foo=2,bar=3"), "foo=1,bar=3"),
    "one invalid": (("foo=1", "BAR=2"), None),
    "32 members in all": (
        tuple(",".join(f"k{n:02}=1" for n in range(start, start + 16)) for start in (0, 16)),
        ",".join(f"k{n:02}=1" for n in range(32)),
    ),
    "33 members in all": (tuple(",".join(f"k{n:02}=1" for n in part) for part in (range(17), range(17, 33))), None),
}


class TestTracestate:
    def test_without_a_traceparent_there_is_none(self, service: Service) -> None:
        assert is_new(context(service, service.call("tracestate: foo=1")))

    @pytest.mark.parametrize(("text", "kept"), values.STATES.values(), ids=values.STATES)
    def test_a_valid_one_goes_on_in_order(self, service: Service, text: str, kept: str) -> None:
        sent = context(service, service.call(f"traceparent: {VALID}", f"tracestate: {text}"))
        assert continues(sent) and sent.state == kept

    @pytest.mark.parametrize("text", ON_THE_WIRE.values(), ids=ON_THE_WIRE)
    def test_an_invalid_one_is_left_out_and_the_trace_goes_on(self, service: Service, text: str) -> None:
        sent = context(service, service.call(f"traceparent: {VALID}", f"tracestate: {text}"))
        assert continues(sent) and sent.state is None

    @pytest.mark.parametrize(("texts", "kept"), SEVERAL.values(), ids=SEVERAL)
    def test_several_headers_are_one_list(self, service: Service, texts: Lines, kept: str | None) -> None:
        lines = [f"tracestate:{text}" for text in texts]
        sent = context(service, service.call(f"traceparent: {VALID}", *lines))
        assert continues(sent) and sent.state == kept

    @pytest.mark.parametrize("names", [("TraceState", "tracestate"), ("TRACESTATE", "tRaCeStAtE")])
    def test_its_name_is_of_any_case_and_it_may_stand_first(self, service: Service, names: tuple[str, str]) -> None:
        lines = (f"{names[0]}: foo=1", f"traceparent: {VALID}", f"{names[1]}: bar=2")
        assert context(service, service.call(*lines)).state == "foo=1,bar=2"

    @pytest.mark.parametrize("name", ["trace-state", "trace.state", "trace_state", "x-tracestate"])
    def test_names_that_look_like_it_are_none(self, service: Service, name: str) -> None:
        sent = context(service, service.call(f"traceparent: {VALID}", f"{name}: foo=1"))
        assert continues(sent) and sent.state is None

    def test_it_goes_on_with_a_version_of_the_future(self, service: Service) -> None:
        sent = context(service, service.call(f"traceparent: cc{VALID[2:]}-more", "tracestate: foo=1"))
        assert continues(sent) and sent.state == "foo=1"


class TestSeveralRequests:
    def test_calls_of_one_request_share_its_trace_and_have_parents_of_their_own(self, service: Service) -> None:
        arguments: list[object] = [{"url": service.heard.url + "/", "arguments": []}] * 3
        all_sent = service.calls((f"traceparent: {VALID}", "tracestate: foo=1"), arguments)
        told = [context(service, sent) for sent in all_sent]
        assert len(told) == len({sent.parent for sent in told}) == 3
        assert all(continues(sent) and sent.state == "foo=1" for sent in told)

    def test_without_a_traceparent_they_share_a_new_one(self, service: Service) -> None:
        arguments: list[object] = [{"url": service.heard.url + "/", "arguments": []}] * 2
        first, second = (context(service, sent) for sent in service.calls((), arguments))
        assert first.trace == second.trace and first.parent != second.parent and is_new(first)

    def test_through_the_service_itself_the_trace_goes_on_and_each_body_arrives(self, service: Service) -> None:
        inner = [{"url": service.heard.url + "/", "arguments": [1, {"a": "b"}]}]
        outer: list[object] = [{"url": service.url(), "arguments": inner}, *inner]
        all_sent = service.calls((f"traceparent: {VALID}", "tracestate: foo=1"), outer)
        told = [context(service, sent) for sent in all_sent]
        assert [(continues(sent), sent.state) for sent in told] == [(True, "foo=1")] * 2
        assert told[0].parent != told[1].parent
        assert [json.loads(sent.body) for sent in all_sent] == [[1, {"a": "b"}]] * 2

    def test_nothing_is_left_for_the_next_request(self, service: Service) -> None:
        service.call(f"traceparent: {VALID}", "tracestate: foo=1")
        first, second = context(service, service.call()), context(service, service.call())
        assert is_new(first) and is_new(second) and first.trace != second.trace

    def test_requests_at_the_same_time_keep_their_own(self, service: Service) -> None:
        def ask(number: int) -> tuple[str, str | None]:
            lines = (f"traceparent: 00-{number:032x}-{PARENT}-01", f"tracestate: n={number}")
            sent = context(service, service.call(*lines, target=f"/{number}"))
            return sent.trace, sent.state

        numbers = [0xABC << 64 | number for number in range(1, 41)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, numbers)) == [(f"{number:032x}", f"n={number}") for number in numbers]
