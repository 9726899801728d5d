"""Spans that do not arrive, in whole processes: each is told once, with the true count and the true reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.collector import Collector, answering, collecting, hanging, raw
from tests.export.programs import nowhere, run

FLUSH = "trace.get_tracer_provider().force_flush()"
LARGE = "for _ in range(6):\n    with _tracer.start_as_current_span('large') as span: span.set_attributes({str(n): 'x' * 16000 for n in range(30)})\n"


def said(folder: Path, source: str, url: str, **settings: object) -> list[str]:
    ended = run(folder, source, url, **{"flush_seconds": 60, "exit_seconds": 10, **settings})
    assert ended.code == 0
    return [line.replace(url, "URL").removeprefix("autotrace: ") for line in ended.said]


def test_an_outage_from_the_first_span_to_the_exit(tmp_path: Path) -> None:
    lines = said(tmp_path, f"work('a'); {FLUSH}; work(*'b' * 5000)", nowhere(), queue_size=1000)
    assert lines == [
        "spans cannot be sent: URL: Connection refused; 1 wait, kept until the queue is full",
        "spans cannot be sent: URL: Connection refused; 5001 are lost",
    ]


@pytest.mark.parametrize("times", [1, 3])
def test_a_collector_that_refuses_at_the_exit(tmp_path: Path, times: int) -> None:
    with collecting(answering(413, text=b"too large")) as collector:
        lines = said(tmp_path, f"work(*'a' * {600 * times})", collector.url)
    assert lines == [f"spans cannot be sent: URL: 413 Reason too large; {600 * times} are lost"]


def test_a_collector_that_refuses_while_the_program_runs_and_at_the_exit(tmp_path: Path) -> None:
    with collecting(answering(413)) as collector:
        lines = said(tmp_path, f"work('a'); {FLUSH}; work('b'); {FLUSH}; work('c')", collector.url)
    assert lines == [
        "spans cannot be sent: URL: 413 Reason; this batch is lost",
        "spans cannot be sent: URL: 413 Reason; 3 are lost",
    ]


def test_a_collector_that_refuses_and_takes_at_the_exit(tmp_path: Path) -> None:
    with collecting(answering(413, 202)) as collector:
        lines = said(tmp_path, "work(*'a' * 600)", collector.url)
    assert lines == ["512 spans were lost in all because they were refused: URL: 413 Reason"]


def test_one_refused_message_costs_the_spans_in_it_and_no_others(tmp_path: Path) -> None:
    """Six large spans take three messages."""
    with collecting(answering(413, 202)) as collector:
        lines = said(tmp_path, f"{LARGE}{FLUSH}; work('b')", collector.url)
        assert [body.count(b"large") for body in collector.bodies[:3]] == [2, 2, 2]
    assert lines == [
        "spans cannot be sent: URL: 413 Reason; this batch is lost",
        "2 spans were lost in all because they were refused: URL: 413 Reason",
    ]


def test_a_refused_message_before_an_outage_costs_no_others(tmp_path: Path) -> None:
    with collecting(answering(413, 503, 202)) as collector:
        lines = said(tmp_path, f"{LARGE}{FLUSH}; {FLUSH}", collector.url)
        assert [body.count(b"large") for body in collector.bodies] == [2, 2, 2, 2]
    assert lines == [
        "spans cannot be sent: URL: 503 Reason; 4 wait, kept until the queue is full",
        "spans are sent again; 2 were lost",
    ]


def test_an_outage_that_ends_while_the_collector_hangs(tmp_path: Path) -> None:
    def behave(collector: Collector, connection: object) -> None:
        (answering(503) if len(collector.bodies) < 1 else hanging)(collector, connection)  # type: ignore[arg-type]

    with collecting(behave) as collector:
        lines = said(tmp_path, f"work('a'); {FLUSH}; work('b')", collector.url, exit_seconds=0.4)
    assert lines[0] == "spans cannot be sent: URL: 503 Reason; 1 wait, kept until the queue is full"
    assert len(lines) == 2 and lines[1].endswith("; 2 are lost")


def test_what_a_collector_answers_reaches_stderr_as_one_short_line_without_commands(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 400 Bad\x1b[2J"
        + b"y" * 5000
        + b"\r\nContent-Length: 24\r\n\r\nevil\x1b]0;x\x07\x00\x85\xc2\x9b31m\nsecond"
    )
    with collecting(raw(answer)) as collector:
        (line,) = said(tmp_path, "work('a')", collector.url)
    assert line.isprintable()
    assert len(line) < 500
    assert "400 Bad" in line and "evil" in line and "second" not in line


def test_a_full_queue_names_the_limit_that_it_met(tmp_path: Path) -> None:
    source = f"""
{FLUSH}
for _ in range(2000):
    with _tracer.start_as_current_span('heavy') as span: span.set_attribute('text', 'x' * 10_000)
{FLUSH}
"""
    with collecting(hanging) as collector:
        lines = said(tmp_path, source, collector.url, queue_bytes=1_000_000, exit_seconds=0.3, flush_seconds=0.01)
    assert lines[-1].endswith("; 2000 are lost")
