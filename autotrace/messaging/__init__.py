"""Kafka clients: a consumer span is active while its record is processed; a producer span ends with the acknowledgement.

Knows no library.
"""
