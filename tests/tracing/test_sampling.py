"""Samplers: which traces are kept, and whose decision counts."""

from __future__ import annotations

import random

import pytest

from autotrace.propagation.context import DEBUG, SAMPLED, Remote
from autotrace.tracing import current, new_span, sampling
from tests.recorded import Recorded

from .started import injected, remote, start


@pytest.mark.parametrize(
    ("sampler", "decision", "kept"),
    [
        ("parentbased_always_on", None, True),
        ("parentbased_always_on", True, True),
        ("parentbased_always_on", False, False),
        ("parentbased_always_off", None, False),
        ("parentbased_always_off", True, True),
        ("parentbased_always_off", False, False),
        ("always_on", False, True),
        ("always_off", True, False),
    ],
)
def test_a_callers_decision_counts_first_where_the_sampler_is_parent_based(
    spans: Recorded, sampler: str, decision: bool | None, kept: bool
) -> None:
    new_span.decide, new_span.parent_based = sampling.decision(sampler, 1)
    span = start(remote(SAMPLED if decision else 0, decision))
    assert span.is_recording() is kept
    span.end()
    assert len(spans) == kept


def test_debug_is_kept_whatever_the_sampler_says_and_stays_debug_downstream(spans: Recorded) -> None:
    new_span.decide, new_span.parent_based = sampling.decision("always_off", 1)
    span = start(remote(SAMPLED | DEBUG))
    token = current.enter(span)
    child = start()
    current.leave(token)
    assert child.flags & DEBUG
    assert child.is_recording()


def test_a_denied_trace_keeps_its_ids_and_exports_nothing(spans: Recorded) -> None:
    span = start(remote(0, False))
    token = current.enter(span)
    headers = injected(start())
    current.leave(token)
    span.end()
    assert headers["X-B3-TraceId"] == f"{0xABC:032x}"
    assert headers["X-B3-Sampled"] == "0"
    assert headers["traceparent"].endswith("-00")
    assert spans == []


def test_a_decision_without_ids_begins_a_trace_that_obeys_it(spans: Recorded) -> None:
    span = start(Remote(0, 0, 0, False))
    assert span.trace_id
    assert span.parent_id == 0
    assert not span.is_recording()


def test_a_ratio_keeps_that_share_and_decides_alike_everywhere() -> None:
    keep, parent_based = sampling.decision("parentbased_traceidratio", 0.25)
    assert parent_based
    ids = [random.Random(7).getrandbits(128) for _ in range(1)] + [random.getrandbits(128) for _ in range(20000)]
    kept = [trace_id for trace_id in ids if keep(trace_id)]
    assert 0.22 < len(kept) / len(ids) < 0.28
    assert all(sampling.decision("traceidratio", 0.5)[0](trace_id) for trace_id in kept)


def test_a_rate_limit_lets_so_many_through_a_second() -> None:
    moment = [100.0]
    limit = sampling.RateLimit(2, lambda: moment[0])
    assert [limit(1) for _ in range(4)] == [True, True, False, False]
    moment[0] += 0.5
    assert [limit(1) for _ in range(2)] == [True, False]
    moment[0] += 60
    assert [limit(1) for _ in range(3)] == [True, True, False]
