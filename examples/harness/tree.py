"""Received spans as a tree: service, name, kind, duration, and the telling tags. Shows broken traces, too."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from examples.harness.relations import parent_of, relation
from examples.harness.screen import WIDTH, fitted, paint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from test_services.jaeger_thrift import ReceivedSpan

_COLUMNS = {"service": 13, "name": 31, "kind": 9, "duration": 8}
_DETAILS = WIDTH - sum(_COLUMNS.values()) - 2


def drawn(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """Lines: a head for each trace, then its spans, children in the order they began."""
    for trace_id in dict.fromkeys(span.trace_id for span in spans):
        trace = sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: span.start_us)
        services = {span.service for span in trace}
        ends = max(span.start_us + span.duration_us for span in trace)
        text = f"trace {trace_id:032x}   {len(trace)} spans of {len(services)} services, "
        yield paint(f"{text}{_milliseconds(ends - trace[0].start_us)}", "bold")
        yield ""
        for span in trace:
            if parent_of(span, trace) is None:
                yield from _branch(span, trace, "", "")


def _branch(span: ReceivedSpan, trace: Sequence[ReceivedSpan], stem: str, below: str) -> Iterator[str]:
    """`stem`: what stands before the span's name; `below`: before everything that hangs under it."""
    children = [child for child in trace if parent_of(child, trace) is span]
    first, *more = _details(span) or [""]
    yield _line(span, stem, first)
    under = below + ("│" if children else "")
    yield from (_continued(under, detail) for detail in more)
    for child in children:
        last = child is children[-1]
        joint = ("╰▷ " if last else "├▷ ") if relation(child) == "FOLLOWS_FROM" else ("└ " if last else "├ ")
        yield from _branch(child, trace, below + joint, below + (" " if last else "│").ljust(len(joint)))


def _line(span: ReceivedSpan, stem: str, detail: str) -> str:
    service = paint(fitted(span.service, _COLUMNS["service"]), "cyan")
    name = fitted(stem + span.name, _COLUMNS["name"] - 1) + " "
    name = stem + paint(name[len(stem) :], "red" if span.tags.get("error") else "bold")
    kind = paint(fitted(str(span.tags.get("span.kind", "")), _COLUMNS["kind"]), "dim")
    return (
        f"{service}{name}{kind}{_milliseconds(span.duration_us).rjust(_COLUMNS['duration'])}  {_shown(detail)}".rstrip()
    )


def _continued(below: str, detail: str) -> str:
    return f"{' ' * _COLUMNS['service']}{fitted(below, WIDTH - _DETAILS - _COLUMNS['service'])}{_shown(detail)}"


def _shown(detail: str) -> str:
    return paint(detail, "yellow" if detail.startswith("FOLLOWS_FROM") else "dim")


def _details(span: ReceivedSpan) -> list[str]:
    """The tags worth showing, as lines that fit, most telling first."""
    tags = span.tags
    found = []
    if relation(span) == "FOLLOWS_FROM":
        found.append("FOLLOWS_FROM the span above")
    if tags.get("span.kind") == "server":
        found.append(f"status {tags.get('http.status_code', '?')}")
    elif "http.url" in tags:
        found.append(f"{str(tags['http.url']).partition('://')[2]}  {tags.get('http.status_code', '')}".rstrip())
    elif "db.statement" in tags:
        found += [*textwrap.wrap(str(tags["db.statement"]), _DETAILS), f"peer {tags.get('peer.address', '')}"]
    elif "message_bus.destination" in tags:
        found.append("  ".join(f"{key} {tags[key]}" for key in ("partition", "offset") if key in tags))
        found.append(f"peer {tags.get('peer.address', '')}")
    return [fitted(line, _DETAILS).rstrip() for line in found]


def _milliseconds(us: int) -> str:
    return f"{us / 1000:.1f} ms"
