"""The four services as processes, and the topic between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from examples.harness.services import Services

if TYPE_CHECKING:
    from collections.abc import Mapping

TOPIC = "display"
SERVERS = ("ball", "ai", "stadium")
SERVICES = (*SERVERS, "ui")


class Arena(Services):
    """Running while entered. `settings`: autotrace's variables for every service; None: without autotrace-run."""

    def __init__(self, kafka: str, settings: Mapping[str, str] | None) -> None:
        super().__init__(Path(__file__).parent, SERVERS, ("ui",), {"KAFKA_BOOTSTRAP_SERVERS": kafka}, settings)

    def kick_off(self) -> bytes:
        """The answer to GET /centerBall; urllib.error.HTTPError where it is not 200."""
        return self.get("stadium", "/centerBall")
