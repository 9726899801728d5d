"""Kafka clients: a consumer span is active around each record; a producer span ends with the acknowledgement.

Knows no library.
"""
