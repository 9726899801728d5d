"""Exporter `console`: the text on stderr, and when it is printed."""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from autotrace.export import tree
from autotrace.export.console import LONGEST_WAIT, Console, make
from autotrace.semantics import http
from autotrace.tracing.span import FOLLOWS_FROM, Span
from tests.export.finished import Resource, ended, named, new, settings, story

pytestmark = pytest.mark.usefixtures("nothing_contained")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watch:
    """A console on a stream of its own, with a clock that the test moves."""

    def __init__(self, stream: Any = None) -> None:
        self.stream = io.StringIO() if stream is None else stream
        self.now = 100.0
        self.console = Console(self.stream, lambda: self.now)

    def export(self, *spans: Span) -> str:
        """The text that is written meanwhile."""
        return self._new(lambda: self.console.export(list(spans), Resource("shop"), time.monotonic() + 1))

    def close(self) -> str:
        return self._new(self.console.close)

    def _new(self, act: Any) -> str:
        before = len(self.stream.getvalue())
        act()
        return str(self.stream.getvalue()[before:])


def test_a_trace_is_a_tree_of_its_spans() -> None:
    spans = story()
    for span in spans:
        span.start_time, span.end_time = 1_000_000_000 + spans.index(span), 1_012_300_000
    spans[2].start_time = 1_000_000_000 - 1
    trace_id = f"{spans[0].trace_id:032x}"
    assert Watch().export(*spans).splitlines() == [
        f"trace {trace_id}  5 spans, 12.3 ms",
        "shop  GET /checkout  12.3 ms  http://shop:8080/checkout?token=REDACTED  200",
        "├─ shop  INSERT orders  12.3 ms  INSERT INTO orders VALUES (?)  peer=db.shop:5432",
        "└─ shop  send orders  12.3 ms  topic=orders  partition=1  offset=0  peer=broker.shop:9092",
        "   └─ shop  process orders  12.3 ms  topic=orders  partition=1  offset=1099511627776  "
        "peer=broker.shop:9092  (follows from)",
        "      └─ shop  GET  12.3 ms  ! ConnectionError: no route  http://mail:80/send  peer=mail:80",
    ]


@pytest.mark.parametrize("convention", ["otel"], indirect=True)
def test_opentelemetrys_names_are_read_as_well(convention: str) -> None:
    text = Watch().export(*story())
    assert "INSERT INTO orders VALUES (?)  peer=db.shop" in text
    assert "topic=orders" in text


def test_a_consumer_of_another_processs_record_is_a_root_that_names_it() -> None:
    _, sent, _, call, got = story()
    lines = Watch().export(call, got).splitlines()
    assert lines[1].startswith("shop  process orders")
    assert lines[1].endswith(f"follows from {sent.span_id:016x}")
    assert lines[2].startswith("└─ shop  GET")


def test_a_servers_remote_parent_and_further_links_are_shown() -> None:
    server = new(SpanKind.SERVER, http.SERVER, {"method": "GET"}, parent_id=0xABC)
    server.link(server.trace_id, 0xDEF, FOLLOWS_FROM)
    server.link(7, 8, {})
    line = Watch().export(ended(server)).splitlines()[1]
    assert "child of 0000000000000abc" in line
    assert "linked to 0000000000000def" in line
    assert f"linked to 0000000000000008 of trace {7:032x}" in line


class TestATraceIsHeld:
    def test_until_its_local_root_has_ended(self) -> None:
        watch, root = Watch(), named("root")
        children = [ended(named(f"child {number}", parent=root)) for number in range(2)]
        assert watch.export(children[0]) == ""
        assert watch.export(children[1]) == ""
        assert len(watch.export(ended(root)).splitlines()) == 4
        assert watch.close() == ""

    def test_for_seconds_and_no_longer(self) -> None:
        watch, root = Watch(), named("root")
        assert watch.export(ended(named("child", parent=root))) == ""
        watch.now += LONGEST_WAIT
        text = watch.export(ended(named("another trace")))
        assert f"child of {root.span_id:016x}" in text
        assert text.count("trace ") == 3

    def test_no_longer_than_the_program(self) -> None:
        watch = Watch()
        watch.export(ended(named("child", parent=named("root"))))
        assert "child" in watch.close()
        assert watch.close() == ""

    def test_within_bounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("autotrace.export.console.MOST_WAITING", 2)
        watch = Watch()
        orphans = [ended(named("orphan", parent=named("root"))) for _ in range(3)]
        assert watch.export(*orphans[:2]) == ""
        assert watch.export(orphans[2]).count("orphan") == 3


class TestColours:
    def test_only_on_a_terminal(self) -> None:
        assert "\x1b[" in Watch(Terminal()).export(*story())
        assert "\x1b[" not in Watch().export(*story())

    def test_a_span_that_failed_is_red(self) -> None:
        lines = Watch(Terminal()).export(*story()).splitlines()
        assert [number for number, line in enumerate(lines) if "\x1b[31m" in line] == [5]
        assert "\x1b[31m! ConnectionError: no route" in lines[5]


def test_a_programs_text_cannot_command_the_terminal_or_break_the_tree() -> None:
    span = named("evil\x1b[2J\nname")
    span.set_attribute("db.statement", "SELECT\n\t1" + "x" * 500 + "\ud800")
    lines = Watch().export(ended(span)).splitlines()
    assert len(lines) == 2
    assert "\x1b" not in lines[1]
    assert "SELECT 1xxx" in lines[1]
    assert len(lines[1]) < 200


@pytest.mark.parametrize("stream", [None, io.TextIOWrapper(io.BytesIO(), "ascii")], ids=["none", "ascii"])
def test_a_poor_stderr_is_nobodys_failure(stream: Any) -> None:
    console = Console(stream)
    console.export(story(), Resource("é"), 0)
    if stream is not None:
        assert b"INSERT orders" in stream.buffer.getvalue()
        stream.close()
    console.export(story(), Resource("é"), 0)
    console.close()


def test_trees_go_to_the_stderr_of_the_process_never_to_what_a_program_captures(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as captured:
        make(settings(exporter="console")).export(story(), Resource(), 0)
    assert captured.getvalue() == ""
    assert "GET /checkout" in capfd.readouterr().err


class TestTheTree:
    def node(self, span_id: int, parent_id: int = 0, start: int = 0) -> tree.Node:
        return tree.Node("s", f"span {span_id}", 1, span_id, parent_id, start, 1000, {})

    def test_orders_siblings_by_time(self) -> None:
        text = tree.render([self.node(1), self.node(3, 1, 5), self.node(2, 1, 9)])
        assert [line.split("  ")[1] for line in text.splitlines()[1:]] == ["span 1", "span 3", "span 2"]

    def test_shows_each_span_once_whatever_the_ids(self) -> None:
        """Spans that are each other's parents, or their own."""
        text = tree.render([self.node(1, 2), self.node(2, 1), self.node(3, 3), self.node(4)])
        for number in range(1, 5):
            assert text.count(f"span {number}") == 1

    def test_is_not_bound_by_pythons_stack(self) -> None:
        assert tree.render([self.node(n, n - 1, n) for n in range(1, 5000)]).count("\n") == 5000

    def test_of_nothing_is_nothing(self) -> None:
        assert tree.render([]) == ""

    @pytest.mark.parametrize(
        ("ns", "text"),
        [
            (0, "0 µs"),
            (-5, "0 µs"),
            (850_999, "850 µs"),
            (1_000_000, "1.00 ms"),
            (12_340_000, "12.3 ms"),
            (123_400_000, "123 ms"),
            (4_560_000_000, "4.56 s"),
            (3_600_000_000_000, "3600 s"),
        ],
    )
    def test_durations_have_three_digits(self, ns: int, text: str) -> None:
        assert tree.duration(ns) == text
