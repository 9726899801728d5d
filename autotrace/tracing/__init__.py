"""Spans, the current one, and what crosses a process boundary. Knows no library, no convention and no exporter."""
