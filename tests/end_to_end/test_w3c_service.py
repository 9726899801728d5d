"""W3C Trace Context on the wire: examples/w3c under autotrace-run, asked through a plain socket, and what it sends.

The official suite's tests (without `test_`), and where each stands here; values are in tests/propagation/test_w3c.py:

both_traceparent_and_tracestate_missing     TestTraceparent.test_without_one_the_service_begins_a_trace
traceparent_included_tracestate_missing     .test_a_valid_one_is_continued_with_a_parent_of_its_own: version 00
traceparent_duplicated                      .test_two_are_none traceparent_header_name
.test_names_that_look_like_it_are_none traceparent_header_name_valid_casing        .test_its_name_is_of_any_case
traceparent_version_0x00, _0xff             .test_an_invalid_one_is_as_none…: version 00 with …, version ff
traceparent_version_0xcc                    .test_a_valid_one…: a higher version …; .test_an_invalid_one…: a higher
version with a dot traceparent_version_illegal_characters,     .test_an_invalid_one…: version .0, version 0., _too_long,
_too_short                       version 000, version 0000, version 0 traceparent_trace_id_all_zero, _illegal_
.test_an_invalid_one…: trace id … characters, _too_long, _too_short traceparent_parent_id_…, the same four
.test_an_invalid_one…: parent id … traceparent_trace_flags_illegal_            .test_an_invalid_one…: flags …
characters, _too_long, _too_short traceparent_ows_handling
.test_blanks_around_the_value_are_none_of_it the random flag of level 2
.test_the_callers_decision_and_its_random_flag_go_on tracestate_included_traceparent_missing
TestTracestate.test_without_a_traceparent_there_is_none tracestate_included_traceparent_included
.test_a_valid_one_goes_on_in_order: two in order tracestate_header_name
.test_names_that_look_like_it_are_none tracestate_header_name_valid_casing
.test_its_name_is_of_any_case_and_it_may_stand_first tracestate_empty_header                     .test_an_invalid_one…:
empty; .test_several_headers_are_one_list: an empty one … tracestate_multiple_headers_different_keys
.test_several_headers_are_one_list: three, one with more members tracestate_duplicated_keys
.test_a_valid_one…: a key twice …; .test_several…: a key in both, the same in both (the suite takes both or one of them;
older versions of it wanted none) tracestate_all_allowed_characters           .test_a_valid_one…: all characters of …
tracestate_ows_handling                     .test_a_valid_one…: white space …, blanks: …, tabs and blanks between
members tracestate_key_illegal_characters           .test_an_invalid_one_is_left_out…: blank before the equals sign,
upper case, a dot in the key tracestate_key_illegal_vendor_format        .test_an_invalid_one…: no system, no tenant,
two at signs … tracestate_member_count_limit               .test_several…: 32 members in all, 33 members in all
tracestate_key_length_limit                 .test_several…: the longest …, … too long
tracestate_value_illegal_characters         .test_an_invalid_one…: two equals signs, no value
multiple_requests_with_valid_traceparent    TestSeveralRequests.test_calls_of_one_request_share_its_trace…
multiple_requests_without_traceparent       .test_without_a_traceparent_they_share_a_new_one
multiple_requests_with_illegal_traceparent  .test_with_an_invalid_one_they_share_a_new_one
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from test_services.processes import Server, free_ports
from tests.end_to_end.w3c_service import PARENT, VALID, Lines, Service, context, continues, is_new
from tests.http_client.http_peer import Peer
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


BLANKS = {
    "none": ("", ""),
    "a blank before": (" ", ""),
    "a tab before": ("\t", ""),
    "a blank behind": ("", " "),
    "a tab behind": ("", "\t"),
    "several on both sides": ("\t ", " \t"),
}


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

    @pytest.mark.parametrize(("before", "behind"), BLANKS.values(), ids=BLANKS)
    def test_blanks_around_the_value_are_none_of_it(self, service: Service, before: str, behind: str) -> None:
        assert continues(context(service, service.call(f"traceparent:{before}{VALID}{behind}")))

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


KEPT = {**values.STATES, **{f"blanks: {name}": (f"{one[0]}foo=1{one[1]}", "foo=1") for name, one in BLANKS.items()}}
KEPT["tabs and blanks between members"] = ("foo=1\t \t,\t \tbar=2,\t \tbaz=3", "foo=1,bar=2,baz=3")
ON_THE_WIRE = {name: text for name, text in values.BAD_STATES.items() if "\n" not in text and "\x00" not in text}

SEVERAL = {
    "two": (("foo=1", "bar=2"), "foo=1,bar=2"),
    "three, one with more members": (("foo=1,bar=2", "rojo=1,congo=2", "baz=3"), "foo=1,bar=2,rojo=1,congo=2,baz=3"),
    "an empty one first": (("", "foo=1"), "foo=1"),
    "an empty one last": (("foo=1", ""), "foo=1"),
    "an empty one between": (("foo=1", "", "bar=2"), "foo=1,bar=2"),
    "blanks around each": ((" \tfoo=1 \t", "\tbar=2 "), "foo=1,bar=2"),
    "a key in both": (("foo=1", "foo=2,bar=3"), "foo=1,bar=3"),
    "the same in both": (("foo=1", "foo=1"), "foo=1"),
    "the longest key": (("foo=1", "z" * 256 + "=1"), "foo=1," + "z" * 256 + "=1"),
    "a key too long": (("foo=1", "z" * 257 + "=1"), None),
    "the longest tenant and system": (("foo=1", f"{'t' * 241}@{'v' * 14}=1"), f"foo=1,{'t' * 241}@{'v' * 14}=1"),
    "a tenant of any length": (("foo=1", "t" * 242 + "@v=1"), "foo=1," + "t" * 242 + "@v=1"),
    "a system of any length": (("foo=1", "t@" + "v" * 15 + "=1"), "foo=1,t@" + "v" * 15 + "=1"),
    "a key with an at sign too long": (("foo=1", "t" * 242 + "@" + "v" * 14 + "=1"), None),
    "one invalid": (("foo=1", "BAR=2"), None),
    "32 members in all": (
        tuple(",".join(f"k{n:02}=1" for n in range(start, start + 16)) for start in (0, 16)),
        ",".join(f"k{n:02}=1" for n in range(32)),
    ),
    "33 members in all": (tuple(",".join(f"k{n:02}=1" for n in part) for part in (range(17), range(17, 33))), None),
}


DECISIONS = {"sampled": VALID, "not sampled": VALID[:-2] + "00"}


def within_a_line(state: str) -> str:
    """The first members that fit a header which servers take: W3C lets whole members go, the last ones first."""
    while len(state) > 8000:
        state = state.rpartition(",")[0]
    return state


class TestTracestate:
    @pytest.mark.parametrize("text", ["foo=1", "foo=1,bar=2"])
    def test_without_a_traceparent_there_is_none(self, service: Service, text: str) -> None:
        assert is_new(context(service, service.call(f"tracestate: {text}")))

    @pytest.mark.parametrize("parent", DECISIONS.values(), ids=DECISIONS)
    @pytest.mark.parametrize(("text", "kept"), KEPT.values(), ids=KEPT)
    def test_a_valid_one_goes_on_in_order(self, service: Service, parent: str, text: str, kept: str) -> None:
        sent = context(service, service.call(f"traceparent: {parent}", f"tracestate:{text}"))
        assert continues(sent) and sent.state == within_a_line(kept) and sent.flags == parent[-2:]

    @pytest.mark.parametrize("parent", DECISIONS.values(), ids=DECISIONS)
    @pytest.mark.parametrize("text", ON_THE_WIRE.values(), ids=ON_THE_WIRE)
    def test_an_invalid_one_is_left_out_and_the_trace_goes_on(self, service: Service, parent: str, text: str) -> None:
        sent = context(service, service.call(f"traceparent: {parent}", f"tracestate: {text}"))
        assert continues(sent) and sent.state is None

    @pytest.mark.parametrize("parent", DECISIONS.values(), ids=DECISIONS)
    @pytest.mark.parametrize(("texts", "kept"), SEVERAL.values(), ids=SEVERAL)
    def test_several_headers_are_one_list(self, service: Service, parent: str, texts: Lines, kept: str | None) -> None:
        lines = [f"tracestate:{text}" for text in texts]
        sent = context(service, service.call(f"traceparent: {parent}", *lines))
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
        contexts = [context(service, sent) for sent in all_sent]
        assert len(contexts) == len({sent.parent for sent in contexts}) == 3
        assert all(continues(sent) and sent.state == "foo=1" for sent in contexts)

    def test_without_a_traceparent_they_share_a_new_one(self, service: Service) -> None:
        arguments: list[object] = [{"url": service.heard.url + "/", "arguments": []}] * 2
        first, second = (context(service, sent) for sent in service.calls((), arguments))
        assert first.trace == second.trace and first.parent != second.parent and is_new(first)

    @pytest.mark.parametrize("text", values.BAD.values(), ids=values.BAD)
    def test_with_an_invalid_one_they_share_a_new_one(self, service: Service, text: str) -> None:
        arguments: list[object] = [{"url": service.heard.url + "/", "arguments": []}] * 3
        contexts = [context(service, sent) for sent in service.calls((f"traceparent: {text}",), arguments)]
        assert all(is_new(sent) for sent in contexts)
        assert (len({sent.trace for sent in contexts}), len({sent.parent for sent in contexts})) == (1, 3)

    def test_through_the_service_itself_the_trace_goes_on_and_each_body_arrives(self, service: Service) -> None:
        inner = [{"url": service.heard.url + "/", "arguments": [1, {"a": "b"}]}]
        outer: list[object] = [{"url": service.url(), "arguments": inner}, *inner]
        all_sent = service.calls((f"traceparent: {VALID}", "tracestate: foo=1"), outer)
        contexts = [context(service, sent) for sent in all_sent]
        assert [(continues(sent), sent.state) for sent in contexts] == [(True, "foo=1")] * 2
        assert contexts[0].parent != contexts[1].parent
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
