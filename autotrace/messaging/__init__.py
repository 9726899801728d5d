"""Kafka clients: the consumer's span that stays active while its record is processed, and the producer's that the broker's answer ends. Knows no library."""
