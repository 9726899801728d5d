"""Exporter `console`: each trace as a tree on stderr, once its local roots have ended. For development, not for speed.

Limits: looked at whenever spans come, and at the exit. What comes for a trace that was printed already is printed as a
tree of its own.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.export import tree
from autotrace.export.jaeger.encoder import CHILD_OF, references
from autotrace.semantics import span_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.export.resource import Resource
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

LONGEST = 3.0
"""Seconds that the spans of a trace wait for their parent."""
MOST = 10_000
"""Spans that wait; then all are printed, whether their parents are there or not."""

_ENTERS = (SpanKind.SERVER, SpanKind.CONSUMER)


class Console:
    """`stream`: where trees go, asked for at each print, since a program may replace sys.stderr."""

    def __init__(self, stream: Callable[[], Any] = lambda: sys.stderr, clock: Callable[[], float] = time.monotonic):
        self._stream = stream
        self._clock = clock
        self._waiting: dict[int, _Trace] = {}

    def export(self, spans: list[Span], resource: Resource, deadline: float) -> None:
        """Never slow, so `deadline` is not looked at. A closed or missing stderr is nobody's failure."""
        now = self._clock()
        for span in spans:
            trace = self._waiting.get(span.trace_id)
            if trace is None:
                trace = self._waiting[span.trace_id] = _Trace(now)
            trace.spans.append(span)
            trace.service = resource.service_name
        full = sum(len(trace.spans) for trace in self._waiting.values()) > MOST
        for trace_id, trace in list(self._waiting.items()):
            if full or trace.complete() or now - trace.since >= LONGEST:
                del self._waiting[trace_id]
                self._print(trace)

    def close(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for trace in waiting.values():
            self._print(trace)

    def _print(self, trace: _Trace) -> None:
        try:
            stream = self._stream()
            colours = bool(stream.isatty())
            text = tree.render([_node(span, trace.service) for span in trace.spans], colours)
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(text.encode(encoding, "replace").decode(encoding))
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or None
            pass


class _Trace:
    __slots__ = ("service", "since", "spans")

    def __init__(self, since: float) -> None:
        self.since = since
        self.spans: list[Span] = []
        self.service = ""

    def complete(self) -> bool:
        """Every span has its parent here, or none, or one that is another process's: the local roots have ended."""
        here = {span.span_id for span in self.spans}
        return all(not span.parent_id or span.parent_id in here or span.kind in _ENTERS for span in self.spans)


def _node(span: Span, service: str) -> tree.Node:
    kind = span_reader.error_type(span)
    return tree.Node(
        service,
        span_reader.name(span),
        span.trace_id,
        span.span_id,
        span.parent_id,
        span.start_time,
        (span.end_time or span.start_time) - span.start_time,
        {**dict(span_reader.tags(span)), "span.kind": span.kind.name.lower()},
        (span_reader.status_text(span) or kind) if kind else "",
        [("CHILD_OF" if one[0] == CHILD_OF else "FOLLOWS_FROM", *one[1:]) for one in references(span)],
    )


def make(settings: Settings) -> Console:
    return Console()
