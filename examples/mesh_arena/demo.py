"""`make demo-arena`: one kick-off in the mesh arena on a real broker, its trace and its two graphs.

The exit code is 0 only if trace and graphs are exactly right. KAFKA_BOOTSTRAP_SERVERS names a broker of the user's own
to use instead. JAEGER_ENDPOINT names a Jaeger that gets the spans, too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from examples.harness import graphs, real, showing
from examples.harness.expected_tags import Places
from examples.harness.screen import paint
from examples.mesh_arena.arena import SERVICES, TOPIC, Arena
from examples.mesh_arena.story import BUSINESS, STEPS, faults
from test_services.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from test_services.jaeger_thrift import ReceivedSpan

ANSWER = "The match has begun."
SETTINGS = {"AUTOTRACE_FLUSH_SECONDS": "0.2"}
PATIENCE = 20.0
"""Seconds until a trace that is not whole is judged as it is."""


def main() -> int:
    return showing.run(_demo)


def _demo(opened: ExitStack) -> int:
    print(f"\n{paint('setting up', 'bold')}\n")
    kafka = real.kafka(opened, TOPIC)
    receiver = opened.enter_context(Receiver())
    arena = Arena(kafka, {**SETTINGS, "AUTOTRACE_ENDPOINT": receiver.http_url})
    real.step("services", lambda: opened.enter_context(arena), lambda _: f"{', '.join(SERVICES)}")

    print(f"\n{paint('GET /centerBall', 'bold')}\n")
    wrong = showing.answered(arena, "stadium", "/centerBall", ANSWER)
    spans = showing.received(receiver, len(STEPS), PATIENCE)
    wrong += faults(spans, Places(arena.urls, kafka))
    wrong += _graph_faults(spans)
    showing.show(spans)
    if wrong:
        showing.blame(wrong, arena)
        return 1
    print(paint("The trace is exactly right:", "green"), f"{len(STEPS)} spans, with their parents, names and tags.")
    return 0 if showing.forwarded(receiver, spans) else 1


def _graph_faults(spans: Sequence[ReceivedSpan]) -> list[str]:
    """The trace must say `stadium -> ui` where the network says `everything -> kafka`."""
    drawn = {(edge.source, edge.target) for edge in graphs.business(spans) if edge.label == f"topic {TOPIC}"}
    named = {"missing": BUSINESS - drawn, "too much": drawn - BUSINESS}
    return [f"graph: {source} -> {target}: {what}" for what, edges in named.items() for source, target in sorted(edges)]


if __name__ == "__main__":
    sys.exit(main())
