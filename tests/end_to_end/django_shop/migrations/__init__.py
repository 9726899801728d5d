"""Tables, then rows and an index."""
