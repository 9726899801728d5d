"""Spans, the active span, and the context that crosses threads and processes. Knows no library and no exporter."""

# First of all, because importing the API may start tracing, and that needs the files of this folder whole.
import opentelemetry.trace  # noqa: F401
