"""The queue's limit in bytes: whatever spans hold, and in whatever mixture, the memory that they take is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.export.span_queue import SpanQueue
from autotrace.export.span_weight import weight
from autotrace.tracing.span import Span
from tests.export.programs import nowhere, run
from tests.export.scripted import Make, Scripted, span, until

LIMIT = 1_000_000


def heavy(number: int, characters: int) -> Span:
    made = Span(1, number, 0, 1, None, SpanKind.INTERNAL, None, {}, None)
    made.set_attribute("text", "x" * characters)
    made.end_time = made.start_time
    return made


def unsent(make: Make, **settings: object) -> SpanQueue:
    """A queue without a thread."""
    queue = make(Scripted(), **settings)
    queue.start = lambda: None  # type: ignore[method-assign]
    return queue


def test_heavy_spans_fill_the_queue_and_are_counted_exactly(make: Make, said: list[str]) -> None:
    queue = unsent(make, queue_bytes=LIMIT)
    for number in range(1000):
        queue.sink(heavy(number, 10_000))
    waiting = len(queue.spans)
    assert 50 < waiting < 110
    assert queue.report.lost == 1000 - waiting == queue.report.too_heavy
    assert sum(map(weight, queue.spans)) < 1.2 * LIMIT


def test_the_line_names_the_limit_that_was_met(make: Make, said: list[str]) -> None:
    queue = make(Scripted(), queue_bytes=LIMIT, queue_size=1000)
    queue.start = lambda: None  # type: ignore[method-assign]
    for number in range(200):
        queue.sink(heavy(number, 10_000))
    lost = queue.report.lost
    del queue.start  # type: ignore[attr-defined]
    assert queue.flush(20)
    assert said == [f"{lost} spans were lost because the queue was full (AUTOTRACE_QUEUE_BYTES={LIMIT})"]
    for _ in range(5):
        queue.report.lost += 1
    queue.shutdown()
    assert said[1:] == [
        f"{lost + 5} spans were lost in all because the queue was full (AUTOTRACE_QUEUE_SIZE=1000) (5), "
        f"and the queue was full (AUTOTRACE_QUEUE_BYTES={LIMIT}) ({lost})"
    ]


def test_light_spans_after_a_heavy_one_are_kept(make: Make) -> None:
    queue = unsent(make, queue_bytes=LIMIT, queue_size=500)
    queue.sink(heavy(0, 16_000))
    for number in range(1, 400):
        queue.sink(span(number))
    assert (len(queue.spans), queue.report.lost) == (400, 0)


def test_heavy_spans_after_light_ones_are_bounded(make: Make) -> None:
    queue = unsent(make, queue_bytes=LIMIT)
    for number in range(150):
        queue.sink(span(number))
    for number in range(2000):
        queue.sink(heavy(number, 16_000))
    assert sum(map(weight, queue.spans)) < 4 * LIMIT
    assert len(queue.spans) + queue.report.lost == 2150


def test_a_queue_that_was_emptied_takes_light_spans_again(make: Make) -> None:
    queue = make(Scripted(), queue_bytes=LIMIT, queue_size=2000)
    for number in range(50):
        queue.sink(heavy(number, 16_000))
    assert queue.flush(20)
    queue.start = lambda: None  # type: ignore[method-assign]
    before = queue.report.lost
    for number in range(900):
        queue.sink(span(number))
    assert queue.report.lost == before


def test_a_heavy_half_is_sent_at_once(make: Make) -> None:
    exporter = Scripted()
    queue = make(exporter, queue_bytes=LIMIT, flush_seconds=600)
    for number in range(60):
        queue.sink(heavy(number, 10_000))
    until(lambda: len(exporter.ids) == 60)


def test_an_object_whose_size_cannot_be_asked_harms_nobody(make: Make) -> None:
    class Odd:
        def __sizeof__(self) -> int:
            raise RuntimeError("no")

    exporter = Scripted()
    queue = make(exporter)
    one = heavy(1, 10)
    one.attributes = {"odd": Odd()}
    queue.sink(one)
    assert queue.flush(20)
    assert exporter.ids == [1]


def test_every_text_of_a_span_counts() -> None:
    def made(text: str) -> Span:
        one = Span(1, 1, 0, 1, text, SpanKind.INTERNAL, None, {"fact": text}, None)
        one.set_attribute("a", [text])
        one.add_event("e", {"a": text})
        one.add_link(trace.SpanContext(1, 2, True), {"a": text})
        one.update_name(text)
        one.set_status(trace.StatusCode.ERROR, text)
        one.fail(ValueError(text))
        return one

    assert weight(made("x" * 1000)) - weight(made("")) == 8 * 1000


MEMORY = """
import sqlite3
class Refusing:
    def __conform__(self, protocol): raise ValueError('bad payload: ' + 'x' * 200_000)
cursor = sqlite3.connect(':memory:').cursor()
def failing_statement():
    try: cursor.execute('select ?', (Refusing(),))
    except (sqlite3.Error, ValueError): pass
def long_statement(): cursor.execute('select 1 -- ' + 'x' * 200_000)
def attributes():
    with _tracer.start_as_current_span('a') as span:
        for n in range(20): span.set_attribute(f'key {n}', 'x' * 10_000 + str(n))
def lists():
    with _tracer.start_as_current_span('a') as span: span.set_attribute('list', ['x' * 100 + str(n) for n in range(2000)])
def events():
    with _tracer.start_as_current_span('a') as span:
        for n in range(20): span.add_event('e', {'text': 'x' * 10_000 + str(n)})
def exceptions():
    try:
        with _tracer.start_as_current_span('a') as span: raise ValueError('x' * 200_000)
    except ValueError: pass
def recorded():
    with _tracer.start_as_current_span('a') as span: span.record_exception(ValueError('x' * 200_000))
def names():
    with _tracer.start_as_current_span('x' * 200_000): pass
def statuses():
    with _tracer.start_as_current_span('a') as span: span.set_status(trace.StatusCode.ERROR, 'x' * 200_000)
def links():
    context = trace.SpanContext(1, 2, True)
    with _tracer.start_as_current_span('a', links=[trace.Link(context, {'text': 'x' * 200_000})]): pass
def size(): return int(open('/proc/self/statm').read().split()[1]) * 4096
before = size()
for _ in range(3000): KIND()
print(size() - before)
"""


@pytest.mark.parametrize(
    "kind",
    "failing_statement long_statement attributes lists events exceptions recorded names statuses links".split(),
)
def test_memory_is_bounded_while_the_collector_is_away(tmp_path: Path, kind: str) -> None:
    ended = run(tmp_path, MEMORY.replace("KIND", kind), nowhere(), log="off", queue_bytes=1 << 25)
    assert int(ended.out) < 2.5 * (1 << 25), "32 MiB are allowed, and batches are out of the queue"
