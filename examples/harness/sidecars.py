"""A trace with the spans of Envoy's sidecars in it: is each between the two programs where it belongs? Knows no story.

A sidecar's span is that of a service named like its program and `-sidecar`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from examples.harness.relations import identity, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from test_services.jaeger_thrift import ReceivedSpan

SUFFIX = "-sidecar"
REQUEST_ID = "guid:x-request-id"


def of_sidecar(span: ReceivedSpan) -> bool:
    return span.service.endswith(SUFFIX)


def without(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    """The programs' spans, each below the next program's: the trace as it would be if there were no sidecars."""
    found = []
    for span in spans:
        if not of_sidecar(span):
            passed, above = _above(span, spans)
            parent_id = span.parent_id if not passed else above.span_id if above else passed[-1].parent_id
            found.append(replace(span, parent_id=parent_id))
    return found


def faults(spans: Sequence[ReceivedSpan]) -> list[str]:
    """What is wrong with the sidecars' part of a trace that one request from outside began, one line for each fault."""
    return [*_holes(spans), *_bypasses(spans), *_request_ids(spans)]


def _above(span: ReceivedSpan, spans: Sequence[ReceivedSpan]) -> tuple[list[ReceivedSpan], ReceivedSpan | None]:
    """The sidecars' spans right above `span`, nearest first, and the program's above them."""
    passed: list[ReceivedSpan] = []
    above = parent_of(span, spans)
    while above is not None and of_sidecar(above) and len(passed) < len(spans):
        passed.append(above)
        above = parent_of(above, spans)
    return passed, above


def _holes(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    for span in spans:
        if span.parent_id and parent_of(span, spans) is None:
            yield f"{identity(span)}: its parent {span.parent_id:016x} is no span of the trace"


def _bypasses(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """Above a server span stands its own sidecar's span, above that one the caller's sidecar's. No other is left."""
    left = [(span.trace_id, span.span_id) for span in spans if of_sidecar(span)]
    for span in spans:
        if of_sidecar(span):
            continue
        service, path, kind = identity(span)
        passed, above = _above(span, spans)
        wanted = [(service + SUFFIX, path, "server")] if kind == "server" else []
        if wanted and above is not None:
            wanted.append((above.service + SUFFIX, path, "client"))
        if [identity(one) for one in passed] != wanted:
            yield f"{identity(span)}: above it are {[identity(one) for one in passed]}, expected is {wanted}"
        left = [key for key in left if key not in [(one.trace_id, one.span_id) for one in passed]]
    for span in spans:
        if (span.trace_id, span.span_id) in left:
            yield f"{identity(span)}: no program went on from it"


def _request_ids(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """Every sidecar saw the x-request-id that the first one made."""
    seen = {str(span.tags.get(REQUEST_ID, "")) for span in spans if of_sidecar(span)}
    if len(seen) != 1 or "" in seen:
        yield f"x-request-id is {', '.join(map(repr, sorted(seen))) or 'nowhere'}, expected is one on every hop"
