"""The OpenTelemetry API itself: a program that uses it finds our tracer behind it. tracing.start has done that; this row makes it begin."""

from __future__ import annotations

from typing import Any

from autotrace.patching import Plan, require


def provider(module: Any, plan: Plan) -> None:
    """Nothing to replace: that the API was imported is what begins tracing, before the program asks for a tracer."""
    require(module, "_TRACER_PROVIDER", "get_tracer_provider")
