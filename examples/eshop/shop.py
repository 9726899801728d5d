"""The six services as processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from kafka.errors import KafkaError

from examples.eshop.places import GROUP, TOPIC
from examples.harness.places import pass_over
from examples.harness.services import Services
from test_services.cache import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

SERVERS = ("inventory", "billing", "delivery", "notification", "eshop")
SERVICES = (*SERVERS, "consumer")
PATIENCE = 60
"""Seconds; a consumer that was killed is a member of its group for 45."""


class Shop(Services):
    """Running while entered. `settings`: autotrace's variables for every service; None: without autotrace-run."""

    def __init__(self, kafka: str, database: str, settings: Mapping[str, str] | None) -> None:
        environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "DATABASE_URL": database}
        super().__init__(Path(__file__).parent, SERVERS, ("consumer",), environment, settings)
        self._kafka = kafka

    def __enter__(self) -> Self:
        """Nothing of an earlier run's is in the story: a record whose consumer was stopped before it committed."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                pass_over(self._kafka, TOPIC, GROUP)
                break
            except KafkaError as refused:
                if time.monotonic() > until:
                    raise Unavailable(
                        f"somebody else consumes as group {GROUP}; stop that consumer ({refused})"
                    ) from None
                time.sleep(1)
        return super().__enter__()

    def checkout(self) -> bytes:
        """The answer to GET /checkout; urllib.error.HTTPError where it is not 200."""
        return self.get("eshop", "/checkout")
