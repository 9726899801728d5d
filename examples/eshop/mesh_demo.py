"""`make demo-mesh`: one checkout of the eshop through six Envoys, and its trace with their spans.

The exit code is 0 only if the trace is exactly right. `make demo-mesh ARGS=opentelemetry`: the sidecars trace with that
tracer and with W3C headers, instead of zipkin and B3. The user's own Kafka and database are used where `make demo` uses
them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from examples.eshop.demo import ANSWER, PATIENCE, SETTINGS
from examples.eshop.mesh import SIDECAR_SPANS, MeshShop
from examples.eshop.places import TABLES, TOPIC
from examples.eshop.shop import SERVICES
from examples.eshop.story import STEPS, faults
from examples.harness import graphs, real, showing, sidecars, tree
from examples.harness.expected_tags import Places
from examples.harness.places import Tables
from examples.harness.screen import paint
from test_services import envoy
from test_services.receiver import Receiver
from test_services.sidecar_spans import SidecarSpans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from test_services.jaeger_thrift import ReceivedSpan


def main(arguments: Sequence[str]) -> int:
    tracer = arguments[0] if arguments else "zipkin"
    if tracer not in envoy.TRACERS:
        print(f"tracer {tracer!r}: choose one of {', '.join(envoy.TRACERS)}")
        return 2
    return showing.run(partial(_demo, tracer))


def _demo(tracer: str, opened: ExitStack) -> int:
    print(f"\n{paint('setting up', 'bold')}\n")
    real.step("Envoy", envoy.program, lambda _: f"{envoy.REQUIREMENT}, {len(SERVICES)} times, tracer {tracer}")
    database = real.database(opened)
    opened.enter_context(Tables(database, TABLES))
    kafka = real.kafka(opened, TOPIC)
    receiver, collector = opened.enter_context(Receiver()), opened.enter_context(SidecarSpans())
    settings = {**SETTINGS, "AUTOTRACE_ENDPOINT": receiver.http_url}
    shop = MeshShop(kafka, database.url, settings, envoy.Tracing(tracer, collector.port))
    real.step("services", lambda: opened.enter_context(shop), lambda _: f"{', '.join(SERVICES)}")

    print(f"\n{paint('GET /checkout', 'bold')}\n")
    wrong = showing.answered(shop, "eshop", "/checkout", ANSWER)
    spans = [*showing.received(receiver, len(STEPS), PATIENCE), *collector.spans]
    programs = sidecars.without(spans)
    wrong += [*collector.errors, *sidecars.faults(spans), *faults(programs, Places(shop.doors, kafka, database))]
    if len(spans) - len(programs) != SIDECAR_SPANS:
        wrong.append(f"{len(spans) - len(programs)} spans of sidecars, expected are {SIDECAR_SPANS}")
    _show(spans, programs)
    if wrong:
        showing.blame(wrong, shop)
        return 1
    counted = f"{len(STEPS)} spans of programs, with their parents, names and tags, and {SIDECAR_SPANS} of sidecars"
    print(paint("The trace is exactly right:", "green"), f"{counted} between them.")
    return 0


def _show(spans: Sequence[ReceivedSpan], programs: Sequence[ReceivedSpan]) -> None:
    ids = {str(span.tags[sidecars.REQUEST_ID]) for span in spans if sidecars.REQUEST_ID in span.tags}
    shown = [_labelled(span) if sidecars.of_sidecar(span) else span for span in spans]
    for line in (*tree.drawn(shown), "", f"x-request-id on every hop: {', '.join(sorted(ids))}", ""):
        print(line)
    for line in (*graphs.side_by_side(programs), ""):
        print(line)


def _labelled(span: ReceivedSpan) -> ReceivedSpan:
    """For the narrow columns of a terminal."""
    way = "into" if span.tags.get("span.kind") == "server" else "out of"
    return replace(span, service="  envoy", name=f"{way} {span.service.removesuffix(sidecars.SUFFIX)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
