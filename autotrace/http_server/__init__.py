"""HTTP servers: one span per request, however many servers, middleware and frameworks meet it. Knows none of them."""
