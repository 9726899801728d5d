"""A trace as Jaeger's query API answers it, as the spans that a receiver would have got: the story judges
both alike.
"""

from __future__ import annotations

from typing import Any

from test_services.jaeger_thrift import ReceivedSpan


def spans(answer: dict[str, Any]) -> list[ReceivedSpan]:
    """`answer`: one item of `data`. Jaeger has no parentSpanId there: it is the first reference into the same trace."""
    return [_span(span, answer["processes"][span["processID"]]) for span in answer["spans"]]


def warnings(answer: dict[str, Any]) -> list[str]:
    """What Jaeger found odd."""
    everything = [answer, *answer["spans"], *answer["processes"].values()]
    return [warning for one in everything for warning in one.get("warnings") or ()]


def _span(span: dict[str, Any], process: dict[str, Any]) -> ReceivedSpan:
    references = [(ref["refType"], int(ref["traceID"], 16), int(ref["spanID"], 16)) for ref in span["references"]]
    parents = [span_id for _, trace_id, span_id in references if trace_id == int(span["traceID"], 16)]
    return ReceivedSpan(
        process["serviceName"],
        _tags(process["tags"]),
        int(span["traceID"], 16),
        int(span["spanID"], 16),
        parents[0] if parents else 0,
        span["operationName"],
        span["startTime"],
        span["duration"],
        span["flags"],
        _tags(span["tags"]),
        [(log["timestamp"], _tags(log["fields"])) for log in span["logs"]],
        references,
    )


def _tags(tags: list[dict[str, Any]]) -> dict[str, Any]:
    found = {tag["key"]: tag["value"] for tag in tags}
    assert len(found) == len(tags), f"a tag twice in {tags}"
    return found
