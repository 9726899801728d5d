"""One trace as a tree of lines for people: each span's service, name, duration, most important facts, and error.

It reads tags only, so whoever has tags can print them: the exporter `console`, or a receiver of spans elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDEST = 100
"""Characters of one fact."""

# Each row: the label, and the tags that may hold the fact; the first that is there is shown.
_FACTS = (
    ("", ("db.statement", "db.query.text")),
    ("", ("http.url", "url.full", "url.path")),
    ("", ("http.status_code", "http.response.status_code")),
    ("topic=", ("message_bus.destination", "messaging.destination.name")),
    ("partition=", ("partition", "messaging.destination.partition.id")),
    ("offset=", ("offset", "messaging.kafka.offset")),
    ("peer=", ("peer.address", "server.address", "peer.service")),
)
_SERVER = "server"  # its peer is the caller, which nobody looks for

_RED, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Node(NamedTuple):
    """One span. Ids are whole numbers, 0 for no parent. Times are in ns.

    `references` are (FOLLOWS_FROM or CHILD_OF, trace id, span id). One to the parent replaces the plain parenthood.
    `error` is the text of the error, '' if there was none.
    """

    service: str
    name: str
    trace_id: int
    span_id: int
    parent_id: int
    start: int
    duration: int
    tags: Mapping[str, Any]
    error: str = ""
    references: Sequence[tuple[str, int, int]] = ()


def render(nodes: Iterable[Node], colours: bool = False) -> str:
    """A line that names the trace, then each span below its parent, siblings in order of time. Lines end in a newline.

    A span whose parent is missing is a root, which names its parent's id.
    """
    by_id = {node.span_id: node for node in sorted(nodes, key=lambda node: node.start)}
    if not by_id:
        return ""
    children: dict[int, list[Node]] = {}
    roots = []
    for node in by_id.values():
        if node.parent_id in by_id and node.parent_id != node.span_id:
            children.setdefault(node.parent_id, []).append(node)
        else:
            roots.append(node)
    first = next(iter(by_id.values()))
    took = max(node.start + node.duration for node in by_id.values()) - first.start
    count = f"{len(by_id)} span{'s' if len(by_id) > 1 else ''}"
    trace_id = _id(first.trace_id) if first.trace_id >> 64 == 0 else f"{first.trace_id:032x}"
    lines = [_coloured(f"trace {trace_id}  {count}, {duration(took)}", _DIM, colours)]
    shown: set[int] = set()
    # Spans that are below no root form a circle, because of broken ids; it starts at its earliest span.
    for node in (*roots, *by_id.values()):
        _add_subtree(node, children, shown, lines, colours)
    return "".join(f"{line}\n" for line in lines)


def _add_subtree(root: Node, children: dict[int, list[Node]], shown: set[int], lines: list[str], colours: bool) -> None:
    """Without recursion, because a trace may be deeper than Python's stack."""
    stack = [(root, "", "")]  # the span, what stands before its line, what stands before its children's lines
    while stack:
        node, own, rest = stack.pop()
        if node.span_id in shown:
            continue
        shown.add(node.span_id)
        lines.append(own + _line(node, own == "", colours))
        siblings = children.get(node.span_id, [])
        for child in reversed(siblings):
            last = child is siblings[-1]
            stack.append((child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")))


def _line(node: Node, root: bool, colours: bool) -> str:
    parts = [
        _coloured(_one_line(node.service), _DIM, colours),
        _coloured(_one_line(node.name) or "(no name)", _RED if node.error else _BOLD, colours),
        duration(node.duration),
    ]
    if node.error:
        parts.append(_coloured(f"! {_one_line(node.error)}", _RED, colours))
    facts = [text for text in map(_one_line, _facts(node.tags)) if text not in node.name]
    facts += _relations(node, root)
    if facts:
        parts.append(_coloured("  ".join(facts), _DIM, colours))
    return "  ".join(parts)


def _facts(tags: Mapping[str, Any]) -> list[str]:
    found = []
    for label, keys in _FACTS:
        if label == "peer=" and tags.get("span.kind") == _SERVER:
            continue
        value = next((tags[key] for key in keys if tags.get(key) is not None), None)
        if value is not None:
            found.append(f"{label}{value}")
    return found


def _relations(node: Node, root: bool) -> list[str]:
    found = []
    refers_to_parent = False
    for _, trace_id, span_id in node.references:
        if (trace_id, span_id) == (node.trace_id, node.parent_id):
            refers_to_parent = True
            found.append(f"follows from {_id(span_id)}" if root else "(follows from)")
        else:
            where = "" if trace_id == node.trace_id else f" of trace {trace_id:032x}"
            found.append(f"linked to {_id(span_id)}{where}")
    if root and node.parent_id and not refers_to_parent:
        found.append(f"child of {_id(node.parent_id)}")
    return found


def duration(ns: int) -> str:
    """With three digits: 850 µs, 12.3 ms, 4.56 s."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000)):
        if ns >= size:
            number = ns / size
            return f"{number:.{max(0, 2 - (number >= 10) - (number >= 100))}f} {unit}"
    return f"{max(ns, 0) // 1000} µs"


def _id(number: int) -> str:
    return f"{number:016x}"


def _one_line(text: str) -> str:
    """Without line ends, and without characters that a terminal takes for commands."""
    text = " ".join(str(text).split())
    text = "".join(character if character.isprintable() else "?" for character in text[: WIDEST + 1])
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _coloured(text: str, colour: str, colours: bool) -> str:
    return f"{colour}{text}{_PLAIN}" if colours else text
