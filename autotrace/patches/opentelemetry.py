"""OpenTelemetry's API: importing it starts tracing, so that the program finds autotrace's tracer behind it.

A program that puts sys.modules back imports the API once more. Its second copy shares the provider and the active span.
"""

from __future__ import annotations

import sys
from typing import Any

from opentelemetry import trace

from autotrace.patching import Plan, require
from autotrace.tracing import current, tracer
from autotrace.tracing.span import Span


def provider(module: Any, plan: Plan) -> None:
    """Replaces nothing in the first copy: the watcher has started tracing, before the program asks for a tracer."""
    require(module, "_TRACER_PROVIDER", "get_tracer_provider")
    if module is not trace:
        _join(module, plan)


def _join(module: Any, plan: Plan) -> None:
    """Let a further copy of the API use the first one's context, and know its spans."""
    context: Any = sys.modules["opentelemetry.context"]
    propagation: Any = sys.modules["opentelemetry.trace.propagation"]
    context.get_current()  # older versions create the runtime on first use
    plan.value(context, "_RUNTIME_CONTEXT", current._runtime)
    plan.value(propagation, "_SPAN_KEY", current.SPAN_KEY)
    plan.value(module, "_SPAN_KEY", current.SPAN_KEY)
    module.Span.register(Span)
    module.Span.register(trace.NonRecordingSpan)
    if module._TRACER_PROVIDER is None:
        plan.value(module, "_TRACER_PROVIDER", tracer.provider)
