"""`make demo`: one checkout of the eshop on a real Kafka and PostgreSQL, its trace and its two graphs.

The exit code is 0 only if the trace is exactly right. KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL name servers of the
user's own to use instead. JAEGER_ENDPOINT names a Jaeger that gets the spans, too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from examples.eshop.places import TABLES, TOPIC
from examples.eshop.shop import SERVICES, Shop
from examples.eshop.story import STEPS, faults
from examples.harness import real, showing
from examples.harness.expected_tags import Places
from examples.harness.places import Tables
from examples.harness.screen import paint
from test_services.receiver import Receiver

if TYPE_CHECKING:
    from contextlib import ExitStack

ANSWER = "The order is created.<BR>The payment is done.<BR>The delivery is arranged."
SETTINGS = {"AUTOTRACE_FLUSH_SECONDS": "0.2"}
PATIENCE = 20.0
"""Seconds until a trace that is not whole is judged as it is."""


def main() -> int:
    return showing.run(_demo)


def _demo(opened: ExitStack) -> int:
    print(f"\n{paint('setting up', 'bold')}\n")
    database = real.database(opened)
    opened.enter_context(Tables(database, TABLES))
    kafka = real.kafka(opened, TOPIC)
    receiver = opened.enter_context(Receiver())
    shop = Shop(kafka, database.url, {**SETTINGS, "AUTOTRACE_ENDPOINT": receiver.http_url})
    real.step("services", lambda: opened.enter_context(shop), lambda _: f"{', '.join(SERVICES)}")

    print(f"\n{paint('GET /checkout', 'bold')}\n")
    wrong = showing.answered(shop, "eshop", "/checkout", ANSWER)
    spans = showing.received(receiver, len(STEPS), PATIENCE)
    wrong += faults(spans, Places(shop.urls, kafka, database))
    showing.show(spans)
    if wrong:
        showing.blame(wrong, shop)
        return 1
    print(paint("The trace is exactly right:", "green"), f"{len(STEPS)} spans, with their parents, names and tags.")
    return 0 if showing.forwarded(receiver, spans) else 1


if __name__ == "__main__":
    sys.exit(main())
