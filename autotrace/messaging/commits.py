"""A commit that waits for the broker: a CLIENT span where AUTOTRACE_KAFKA_COMMITS asks for it. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.messaging.consumer_calls import wrap_release
from autotrace.semantics import messaging, topics
from autotrace.tracing import tracer
from autotrace.tracing.traced_call import traced, traced_await

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.messaging.consumer_calls import Make, StateOf
    from autotrace.tracing.traced_call import SpannedCall


def trace_commit(
    state_of: StateOf,
    name: str,
    waits: Callable[[tuple[Any, ...], dict[str, Any]], bool] | None = None,
    *,
    awaited: bool = False,
) -> Make:
    """A commit that leaves the record open. `waits`: does the call wait for the broker? None: every call does.

    Offsets of many topics may go in one commit, so the span names no topic.
    """

    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SpannedCall | None:
        if not topics.commits or not args or (waits is not None and not waits(args, kwargs)):
            return None
        state = state_of(args[0])
        shared = None if state is None else state.consumer_span.shared
        return tracer.start(messaging.CONSUMER, SpanKind.CLIENT, {"operation": "commit"}, shared), args, kwargs

    trace = traced_await if awaited else traced
    return lambda original: trace(original, name, before)


def wrap_commit(
    state_of: StateOf,
    name: str,
    waits: Callable[[tuple[Any, ...], dict[str, Any]], bool] | None = None,
    *,
    awaited: bool = False,
) -> Make:
    """A commit by which the program also says that it is done with the record it was given."""
    release = wrap_release(state_of, awaited=awaited)
    trace = trace_commit(state_of, name, waits, awaited=awaited)
    return lambda original: release(trace(original))
