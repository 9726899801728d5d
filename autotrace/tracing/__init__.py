"""Spans, the current one, and what crosses a process boundary. Knows no library, no convention and no exporter."""

# Before any file of this folder: where nothing is traced yet, importing the API is what begins tracing, and that needs them whole.
import opentelemetry.trace  # noqa: F401
