"""Elastic's agent inside the measured process: its client, which a program or a framework has to make, and its flush.

Limit: flush() reaches for a private event of the transport, because the public flush() returns at once after the first
time.
"""

from __future__ import annotations

import elasticapm  # type: ignore[import-not-found]


def begin(inside: bool) -> None:
    """Make the client, without which nothing is traced.

    `inside`: open a transaction, without which outgoing calls are not traced.
    """
    client = elasticapm.get_client() or elasticapm.Client()
    if inside:
        client.begin_transaction("script")


def flush() -> None:
    """Wait until the server has answered for all finished spans. Without a client there is nothing to do."""
    client = elasticapm.get_client()
    if client is not None:
        client._transport._flushed.clear()
        client._transport.flush()
