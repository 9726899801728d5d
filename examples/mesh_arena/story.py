"""The trace that one kick-off must give, span by span: each event on the screen is below the service that sent it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from examples.harness import expected_tags, judge
from examples.harness.judge import Step, Story, asked
from examples.mesh_arena.arena import TOPIC

if TYPE_CHECKING:
    from examples.harness.expected_tags import Expected, Places


def _displayed(by: Step) -> tuple[Step, Step]:
    sent = Step(by.service, TOPIC, "producer", by)
    return sent, Step("ui", TOPIC, "consumer", sent)


KICK_OFF = Step("stadium", "/centerBall", "server", None)
_PLACED = asked(KICK_OFF, "ball", "/setPosition", "PUT")
_PLAYED = asked(KICK_OFF, "ai", "/play", "PUT")
_TRIED = asked(_PLAYED[1], "ball", "/tryGet")
_SHOT = asked(_PLAYED[1], "ball", "/shoot", "PUT")

STEPS = (
    KICK_OFF,
    *_PLACED,
    *_displayed(_PLACED[1]),
    *_PLAYED,
    *_TRIED,
    *_SHOT,
    *_displayed(_SHOT[1]),
    *_displayed(_PLAYED[1]),
    *_displayed(KICK_OFF),
)
BUSINESS = {("stadium", "ui"), ("ball", "ui"), ("ai", "ui")}
"""Who really works for whom over Kafka; on the network all of them only talk to the broker."""


def tags(step: Step, places: Places) -> Expected:
    if step.kind == "producer":
        return expected_tags.message(places, TOPIC, "producer", {}, {}, offset=False)
    if step.kind == "consumer":
        group = {"messaging.consumer.group.name": "ui"}
        return expected_tags.message(places, TOPIC, "consumer", {"kafka.message.age_ms": int}, group)
    status = 204 if step.method == "PUT" else 200
    if step.kind == "server":
        return expected_tags.server(places, step.service, step.target, step.method, status)
    callee = next(other.service for other in STEPS if other.parent is step)
    return expected_tags.client(places, callee, step.target, step.method, status)


STORY = Story(STEPS, tags)
faults = partial(judge.faults, STORY)
"""(spans, places, convention) -> the faults of a trace, one line each; none for the trace that a kick-off must give."""
