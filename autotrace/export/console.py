"""Exporter `console`: each trace as a tree on stderr, once its local roots have ended. For development, not for speed.

Limits: traces are looked at only when spans come, and at the exit. Spans that come after their trace was printed make
another tree.
"""

from __future__ import annotations

import _io
import sys
from typing import TYPE_CHECKING, Any

from autotrace.export import tree
from autotrace.export.relations import CHILD_OF, REMOTE_PARENT, references
from autotrace.semantics import span_reader
from autotrace.tracing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.export.resource import Resource
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

LONGEST_WAIT = 3.0
"""Seconds that the spans of a trace wait for their parent."""
MOST_WAITING = 10_000
"""Spans that may wait. If there are more, all are printed, with or without their parents."""


class Console:
    """`stream` is where to print, None for nowhere."""

    def __init__(self, stream: Any, clock: Callable[[], float] = monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._waiting: dict[int, _Trace] = {}

    def export(self, spans: list[Span], resource: Resource, deadline: float) -> None:
        """`deadline` is ignored, because printing is fast. A closed or missing stderr is no failure."""
        now = self._clock()
        for span in spans:
            trace = self._waiting.get(span.trace_id)
            if trace is None:
                trace = self._waiting[span.trace_id] = _Trace(now)
            trace.spans.append(span)
            trace.service = resource.service_name
        full = sum(len(trace.spans) for trace in self._waiting.values()) > MOST_WAITING
        for trace_id, trace in list(self._waiting.items()):
            if full or trace.complete() or now - trace.since >= LONGEST_WAIT:
                del self._waiting[trace_id]
                self._print(trace)

    def close(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for trace in waiting.values():
            self._print(trace)

    def _print(self, trace: _Trace) -> None:
        try:
            stream = self._stream
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
        """The local roots have ended: each span has its parent here, or has none, or has a remote one."""
        ids = {span.span_id for span in self.spans}
        return all(not span.parent_id or span.parent_id in ids or span.kind in REMOTE_PARENT for span in self.spans)


def _node(span: Span, service: str) -> tree.Node:
    error_type = span_reader.error_type(span)
    return tree.Node(
        service,
        span_reader.name(span),
        span.trace_id,
        span.span_id,
        span.parent_id,
        span.start_time,
        (span.end_time or span.start_time) - span.start_time,
        {**dict(span_reader.tags(span)), "span.kind": span.kind.name.lower()},
        (span_reader.status_text(span) or error_type) if error_type else "",
        [
            ("CHILD_OF" if kind == CHILD_OF else "FOLLOWS_FROM", trace, parent)
            for kind, trace, parent in references(span)
        ],
    )


def make(settings: Settings) -> Console:
    return Console(_process_stderr())


def _process_stderr() -> Any:
    """Not sys.stderr: what a program puts there for a while (redirect_stderr, capsys) is to hold the program's lines
    only.
    """
    at_start = sys.__stderr__
    try:
        return at_start and _io.open(2, "w", encoding=at_start.encoding, errors="backslashreplace", closefd=False)
    except OSError:  # closed
        return None
