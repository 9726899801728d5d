"""The trace that one checkout must give, span by span."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from examples.eshop.places import TOPIC
from examples.harness import expected_tags, judge
from examples.harness.judge import Step, Story, asked

if TYPE_CHECKING:
    from examples.harness.expected_tags import Expected, Places

PAYMENT = "INSERT INTO eshop_payments (cents) VALUES (%s)"
EMAIL = "INSERT INTO eshop_emails (address) VALUES (%s)"

CHECKOUT = Step("eshop", "/checkout", "server", None)
_INVENTORY = asked(CHECKOUT, "inventory", "/createOrder")
_BILLING = asked(CHECKOUT, "billing", "/payment")
_DELIVERY = asked(CHECKOUT, "delivery", "/arrangeDelivery")
PRODUCER = Step("eshop", TOPIC, "producer", CHECKOUT)
CONSUMER = Step("consumer", TOPIC, "consumer", PRODUCER)
_NOTIFICATION = asked(CONSUMER, "notification", "/sendEmail")

STEPS = (
    CHECKOUT,
    *_INVENTORY,
    *_BILLING,
    Step("billing", PAYMENT, "client", _BILLING[1]),
    *_DELIVERY,
    PRODUCER,
    CONSUMER,
    *_NOTIFICATION,
    Step("notification", EMAIL, "client", _NOTIFICATION[1]),
)


def tags(step: Step, places: Places) -> Expected:
    if step is PRODUCER:
        return expected_tags.message(places, TOPIC, "producer", {}, {})
    if step is CONSUMER:
        group = {"messaging.consumer.group.name": "eshop-demo-app"}
        return expected_tags.message(places, TOPIC, "consumer", {"kafka.message.age_ms": int}, group)
    if step.target.startswith("INSERT"):
        return expected_tags.statement(places, step.target)
    if step.kind == "server":
        return expected_tags.server(places, step.service, step.target)
    callee = next(other.service for other in STEPS if other.parent is step)
    return expected_tags.client(places, callee, step.target)


STORY = Story(STEPS, tags)
faults = partial(judge.faults, STORY)
"""(spans, places, convention) -> the faults of a trace, one line each; none for the trace that a checkout must give."""
