"""The Kafka and the database that the eshop works on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

from examples.eshop.shop import Shop
from examples.harness.expected_tags import Places
from examples.harness.places import Database


class Backends(NamedTuple):
    """A broker with the topic, and a database with the tables."""

    kafka: str
    database: Database

    def shop(self, opened: ExitStack, settings: dict[str, str] | None) -> Shop:
        """The six services, up until `opened` closes; `settings` of autotrace, None: without it."""
        return opened.enter_context(Shop(self.kafka, self.database.url, settings))

    def places(self, shop: Shop) -> Places:
        return Places(shop.urls, self.kafka, self.database)
