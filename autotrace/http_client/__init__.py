"""HTTP clients: a span per physical exchange, whatever the layers above it. Knows no library but the two that the layers end in."""
