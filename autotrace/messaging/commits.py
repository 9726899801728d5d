"""A commit that waits for the broker: a CLIENT span where AUTOTRACE_KAFKA_COMMITS asks for it. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.semantics import messaging, topics
from autotrace.tracing import tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.semantics.family import SharedFacts
    from autotrace.tracing.traced_call import SpannedCall


def before(
    shared: Callable[[Any], SharedFacts | None], waits: Callable[[tuple[Any, ...], dict[str, Any]], bool] | None = None
) -> Callable[[tuple[Any, ...], dict[str, Any]], SpannedCall | None]:
    """What around.traced and traced_await call first. `shared`: a consumer -> its facts. `waits`: does this call wait? None: all do.

    Offsets of many topics may go in one commit, so the span names none.
    """

    def begun(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SpannedCall | None:
        if not topics.commits or not args or (waits is not None and not waits(args, kwargs)):
            return None
        span = tracer.start(messaging.CONSUMER, SpanKind.CLIENT, {"operation": "commit"}, shared(args[0]))
        return span, args, kwargs

    return begun
