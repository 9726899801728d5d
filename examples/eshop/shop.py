"""The six services as processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from examples.stage.services import Services

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVERS = ("inventory", "billing", "delivery", "notification", "eshop")
SERVICES = (*SERVERS, "consumer")


class Shop(Services):
    """Running while entered. `settings`: autotrace's environment variables for every service; None: without autotrace-run."""

    def __init__(self, kafka: str, database: str, settings: Mapping[str, str] | None) -> None:
        environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "DATABASE_URL": database}
        super().__init__(Path(__file__).parent, SERVERS, ("consumer",), environment, settings)

    def checkout(self) -> bytes:
        """The answer to GET /checkout; urllib.error.HTTPError where it is not 200."""
        return self.get("eshop", "/checkout")
