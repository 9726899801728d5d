"""What the program's own headers say of a trace: the parent that it hands on, and what it has signed. Changes nothing.

A signature is known by the names that it covers: they stand in another header or in the query. Limit: a signature that
names no headers is not seen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from opentelemetry import trace

from autotrace.propagation import b3, jaeger, mesh, w3c
from autotrace.tracing import propagate
from autotrace.tracing.current import SPAN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from opentelemetry.context.context import Context

    from autotrace.propagation.context import Remote

_FORMATS = (frozenset(b3.names), frozenset(w3c.names) - {"baggage"}, frozenset(jaeger.names))
"""The headers of one format make sense together only."""
_OTHERS = frozenset((*mesh.trace_names, *mesh.stale_names))
"""Contexts that autotrace does not read."""


def lower_names(names: Iterable[Any]) -> list[str]:
    """`names`, of str or bytes, in lower case."""
    return [name.lower() if isinstance(name, str) else _text(name).lower() for name in names]


def program_trace(names: Iterable[str], headers: Any, url: str, context: Context) -> tuple[Remote | None, Set[str]]:
    """(the parent of the request's span, None for that of `context`; the lower-case names that stay as they are).

    `names`: those of the request's headers, lower-case, of which one at least may be about a trace. `headers`: a
    mapping or (name, value) pairs.
    """
    pairs = headers.items() if hasattr(headers, "items") else headers
    texts = [(_text(name).lower(), _text(value)) for name, value in pairs]
    propagator = propagate.propagator
    kept = _signed((propagator.readable | propagator.stale).intersection(names), texts, url)
    if kept:
        parent = _parent(pair for pair in texts if pair[0] in kept)
        if parent is not None:
            return parent, kept
    if _has_span(context):
        return None, kept
    parent = _parent(texts)
    return parent, kept if parent is None else kept | _OTHERS


def _signed(present: Set[str], texts: list[tuple[str, str]], url: str) -> Set[str]:
    """Those of `present` that another header or the query names, each with its whole format."""
    words = "\n".join(
        [unquote(url.partition("?")[2]), *(value for name, value in texts if name not in present)]
    ).lower()
    kept = {name for name in present if name in words and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words)}
    for together in _FORMATS:
        if not together.isdisjoint(kept):
            kept |= together
    return kept


def _parent(texts: Iterable[tuple[str, str]]) -> Remote | None:
    remote = propagate.extract_http(list(texts))
    return remote if remote is not None and (remote.trace_id or remote.decision is not None) else None


def _has_span(context: Context) -> bool:
    span = context.get(SPAN_KEY)
    return isinstance(span, trace.Span) and span.get_span_context().is_valid


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""
