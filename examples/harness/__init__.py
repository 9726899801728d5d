"""The harness of the examples: their programs as processes, a real Kafka and PostgreSQL, the pictures of the trace."""
