"""Elastic's agent inside the measured process: the client that it leaves to the program or its framework to make, and its flush.

Limit: flush() reaches for the transport's private event, since its own returns at once after the first time.
"""

from __future__ import annotations

import elasticapm  # type: ignore[import-not-found]


def begin(inside: bool) -> None:
    """Without a client nothing is traced; calls that go out are traced only inside a transaction, which is open to the end."""
    client = elasticapm.get_client() or elasticapm.Client()
    if inside:
        client.begin_transaction("script")


def flush() -> None:
    """All finished spans have been answered for. Nothing where no client was made."""
    client = elasticapm.get_client()
    if client is not None:
        client._transport._flushed.clear()
        client._transport.flush()
