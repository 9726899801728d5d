"""The trace that one checkout must give, span by span, and what is wrong with another. Knows no transport and no autotrace.

Times are not judged: clocks of six processes are not one clock.
"""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from examples.eshop import expected_tags
from examples.eshop.places import TOPIC
from examples.eshop.relations import identity, parent_of, relation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from examples.eshop.expected_tags import Expected, Places
    from real_parts.jaeger_thrift import ReceivedSpan

    Key = tuple[str, str]

PAYMENT = "INSERT INTO eshop_payments (cents) VALUES (%s)"
EMAIL = "INSERT INTO eshop_emails (address) VALUES (%s)"


class Step(NamedTuple):
    """A span: its service, its target (a path, the topic, a statement) and its kind, which are unique together; its parent."""

    service: str
    target: str
    kind: str
    parent: Step | None


def _asked(caller: Step, service: str, path: str) -> tuple[Step, Step]:
    """A GET: the caller's span and the one of the service that answers."""
    get = Step(caller.service, path, "client", caller)
    return get, Step(service, path, "server", get)


CHECKOUT = Step("eshop", "/checkout", "server", None)
_INVENTORY = _asked(CHECKOUT, "inventory", "/createOrder")
_BILLING = _asked(CHECKOUT, "billing", "/payment")
_DELIVERY = _asked(CHECKOUT, "delivery", "/arrangeDelivery")
PRODUCER = Step("eshop", TOPIC, "producer", CHECKOUT)
CONSUMER = Step("consumer", TOPIC, "consumer", PRODUCER)
_NOTIFICATION = _asked(CONSUMER, "notification", "/sendEmail")

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


def name(step: Step, convention: str) -> str:
    """What the span must be called."""
    old = convention == "opentracing"
    if step.target == TOPIC:
        spelled = {"producer": ("To_", "send "), "consumer": ("From_", "process ")}[step.kind]
        return spelled[0 if old else 1] + TOPIC
    if step.target.startswith("INSERT"):
        return "INSERT" if old else f"INSERT {step.target.split()[2]}"
    return f"GET {step.target}" if step.kind == "server" and not old else "GET"


def tags(step: Step, places: Places) -> Expected:
    if step is PRODUCER:
        return expected_tags.message(places, "producer", "send", {}, {})
    if step is CONSUMER:
        group = {"messaging.consumer.group.name": "eshop-demo-app"}
        return expected_tags.message(places, "consumer", "process", {"kafka.message.age_ms": int}, group)
    if step.target.startswith("INSERT"):
        return expected_tags.statement(places, step.target)
    if step.kind == "server":
        return expected_tags.server(places, step.service, step.target)
    callee = next(other.service for other in STEPS if other.parent is step)
    return expected_tags.client(places, callee, step.target)


def faults(spans: Sequence[ReceivedSpan], places: Places, convention: str = "both") -> list[str]:
    """What is wrong with a trace, one line for each fault; nothing for the trace that a checkout must give."""
    return [
        *_whole(spans),
        *(line for step, span in _paired(spans) for line in _span_faults(step, span, spans, places, convention)),
        *_record(spans),
        *_processes(spans),
    ]


def _whole(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    traces = Counter(span.trace_id for span in spans)
    if len(traces) > 1:
        first = next((span.trace_id for span in spans if identity(span) == _key(CHECKOUT)), spans[0].trace_id)
        for span in spans:
            if span.trace_id != first:
                yield f"{_called(identity(span))}: in another trace ({span.trace_id:032x}) than the checkout"
    found = Counter(identity(span) for span in spans)
    wanted = Counter(_key(step) for step in STEPS)
    yield from (f"{_called(key)}: missing" for key in wanted - found)
    for key, count in (found - wanted).items():
        yield f"{_called(key)}: not expected{f' (there {count + wanted[key]} times)' if wanted[key] else ''}"


def _paired(spans: Sequence[ReceivedSpan]) -> Iterator[tuple[Step, ReceivedSpan]]:
    for step in STEPS:
        yield from ((step, span) for span in spans if identity(span) == _key(step))


def _span_faults(
    step: Step, span: ReceivedSpan, spans: Sequence[ReceivedSpan], places: Places, convention: str
) -> Iterator[str]:
    who = called(step)
    if span.name != name(step, convention):
        yield f"{who}: called {span.name!r}, expected is {name(step, convention)!r}"
    parent = parent_of(span, spans)
    if step.parent is None:
        if span.parent_id or span.references:
            yield f"{who}: has a parent, expected is the beginning of the trace"
    elif parent is None:
        yield (
            f"{who}: its parent {span.parent_id:016x} is no span of the trace"
            if span.parent_id
            else f"{who}: no parent"
        )
    elif identity(parent) != _key(step.parent):
        yield f"{who}: its parent is {_called(identity(parent))}, expected is {called(step.parent)}"
    wanted = "FOLLOWS_FROM" if step is CONSUMER else "CHILD_OF"
    if step.parent is not None and relation(span) != wanted:
        yield f"{who}: {relation(span)} its parent, expected is {wanted}"
    for kind, trace_id, span_id in span.references:
        if (trace_id, span_id) != (span.trace_id, span.parent_id):
            yield f"{who}: one more reference, {kind} {trace_id:032x}:{span_id:016x}"
    if span.flags != 1:
        yield f"{who}: flags are {span.flags}, expected is 1 (sampled)"
    yield from (f"{who}: {line}" for line in expected_tags.wrong_tags(span.tags, tags(step, places), convention))
    if span.tags.get("error") or span.logs:
        yield f"{who}: marked as failed: {span.logs}"


def _record(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """What was consumed is what was sent."""
    for key in ("partition", "offset", "messaging.destination.partition.id", "messaging.kafka.offset"):
        values = {span.tags.get(key) for span in spans if identity(span)[1] == TOPIC}
        if len(values) > 1:
            yield f"producer and consumer differ in {key}: {values}"


def _processes(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """Kiali asks for `hostname`, Jaeger 2 for `host.name`; each service is one process."""
    host = socket.gethostname()
    seen: set[tuple[str, str]] = set()
    for span in spans:
        for key in ("hostname", "host.name"):
            if span.process_tags.get(key) != host and (span.service, key) not in seen:
                seen.add((span.service, key))
                yield f"{span.service}: process tag {key} is {span.process_tags.get(key)!r}, expected is {host!r}"


def called(step: Step) -> str:
    """As the faults call it: service, kind, target."""
    return _called(_key(step))


def _key(step: Step) -> tuple[str, str, str]:
    return step.service, step.target, step.kind


def _called(key: tuple[str, str, str]) -> str:
    service, target, kind = key
    return f"{service}, {kind} {target}"
