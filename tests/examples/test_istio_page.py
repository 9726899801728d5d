"""docs/istio.md: its settings, their values and its paths exist; and of two formats the first one is read."""

from __future__ import annotations

import re

import pytest

from autotrace.propagation import Propagator, carriers
from autotrace.propagation.context import Remote
from autotrace.settings import Settings
from tests.programs import ROOT
from tests.propagation.spans import span

TEXT = (ROOT / "docs" / "istio.md").read_text()


def test_every_setting_is_one() -> None:
    given = dict.fromkeys(re.findall(r"\bAUTOTRACE_\w+", TEXT), "")
    assert len(given) > 5
    assert Settings(given).problems == []


def test_every_value_that_it_gives_is_taken() -> None:
    given = [tuple(found) for found in re.findall(r"\b(AUTOTRACE_\w+)=([^\s`…]+)", TEXT)]
    assert len(given) > 5
    assert [problem for name, value in given for problem in Settings({name: value}).problems] == []
    formats = re.findall(r"^\| `\w+`.*\| `([\w,]+)`[^|]*\|$", TEXT, re.MULTILINE)
    assert len(formats) == 4
    assert [problem for value in formats for problem in Settings({"AUTOTRACE_PROPAGATORS": value}).problems] == []


def test_every_path_and_link_leads_somewhere() -> None:
    paths = re.findall(r"(?:examples|tests)/[\w./-]*\w", TEXT)
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links and [link for link in links if not (ROOT / "docs" / link).exists()] == []


@pytest.mark.parametrize("formats", ["b3multi,tracecontext,baggage", "tracecontext,baggage"])
def test_the_first_format_is_the_one_that_is_read_and_the_others_go(formats: str) -> None:
    """What a program gets in a mesh: the format of its sidecar fresh, the other as the caller wrote it."""
    fresh, stale = ("b" * 32, "a" * 32) if formats.startswith("b3") else ("a" * 32, "b" * 32)
    propagator = Propagator(tuple(formats.split(",")))
    headers = {"traceparent": f"00-{'a' * 32}-{'1' * 16}-01", "x-b3-traceid": "b" * 32, "x-b3-spanid": "2" * 16}
    remote, sent = passed_on(propagator, headers)
    assert f"{remote.trace_id:032x}" == fresh
    assert fresh in str(sent) and stale not in str(sent)
    assert ("X-B3-TraceId" in sent) == formats.startswith("b3")


def test_a_64_bit_id_stays_one_in_b3() -> None:
    propagator = Propagator(("b3multi", "tracecontext"))
    _, sent = passed_on(propagator, {"x-b3-traceid": "c" * 16, "x-b3-spanid": "2" * 16})
    assert sent["X-B3-TraceId"] == "c" * 16
    assert sent["traceparent"].startswith(f"00-{'0' * 16}{'c' * 16}-")


def passed_on(propagator: Propagator, headers: dict[str, str]) -> tuple[Remote, dict[str, str]]:
    """What is read of a request's headers, and what a call made for it is sent with."""
    remote = carriers.extract_http(propagator, headers)
    assert remote is not None
    call = span(remote.trace_id, 3, remote.span_id, remote.flags)
    sent: dict[str, str] = {}
    carriers.inject_http(propagator, sent, call, None, ())
    return remote, sent
