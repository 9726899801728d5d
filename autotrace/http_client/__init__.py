"""HTTP clients: one client span per exchange on the wire, whatever the layers. Knows only the lowest of them."""
