"""OpenTelemetry's API: importing it starts tracing, so that the program finds autotrace's tracer behind it."""

from __future__ import annotations

from typing import Any

from autotrace.patching import Plan, require


def provider(module: Any, plan: Plan) -> None:
    """Replaces nothing: the watcher has started tracing, before the program asks for a tracer."""
    require(module, "_TRACER_PROVIDER", "get_tracer_provider")
