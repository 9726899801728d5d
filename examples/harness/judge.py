"""Judges a received trace by its story, the steps that it must have: one line for each fault. Knows no transport.

Times are not judged, because the clocks of several processes are not one clock.
"""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from examples.harness import expected_tags
from examples.harness.relations import identity, parent_of, relation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from examples.harness.expected_tags import Expected, Places
    from test_services.jaeger_thrift import ReceivedSpan

    Key = tuple[str, str, str]


class Step(NamedTuple):
    """A span that must be there. `target`: a path, a topic or a statement.

    Steps with the same service, target and kind are told apart by their parents.
    """

    service: str
    target: str
    kind: str
    parent: Step | None
    method: str = "GET"


class Story(NamedTuple):
    """The first step is the beginning. `tags(step, places)`: what its span must have."""

    steps: Sequence[Step]
    tags: Callable[[Step, Places], Expected]


def asked(caller: Step, service: str, path: str, method: str = "GET") -> tuple[Step, Step]:
    """A request: the caller's span and the one of the service that answers."""
    request = Step(caller.service, path, "client", caller, method)
    return request, Step(service, path, "server", request, method)


def name(step: Step, convention: str) -> str:
    """What the span must be called."""
    old = convention == "opentracing"
    if step.kind in ("producer", "consumer"):
        spelled = {"producer": ("To_", "send "), "consumer": ("From_", "process ")}[step.kind]
        return spelled[0 if old else 1] + step.target
    if step.target.startswith("INSERT"):
        return "INSERT" if old else f"INSERT {step.target.split()[2]}"
    return f"{step.method} {step.target}" if step.kind == "server" and not old else step.method


def faults(story: Story, spans: Sequence[ReceivedSpan], places: Places, convention: str = "both") -> list[str]:
    """What is wrong with a trace, one line for each fault; nothing for the trace that the story must give."""
    return [
        *_whole(story.steps, spans),
        *(
            line
            for step, span in _paired(story.steps, spans)
            for line in _span_faults(step, span, spans, story.tags(step, places), convention)
        ),
        *_misplaced(story.steps, spans),
        *_record(spans),
        *_processes(spans),
    ]


def _whole(steps: Sequence[Step], spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    traces = Counter(span.trace_id for span in spans)
    if len(traces) > 1:
        first = next((span.trace_id for span in spans if identity(span) == _key(steps[0])), spans[0].trace_id)
        for span in spans:
            if span.trace_id != first:
                yield f"{_called(identity(span))}: in another trace ({span.trace_id:032x}) than the beginning"
    found = Counter(identity(span) for span in spans)
    wanted = Counter(_key(step) for step in steps)
    yield from (f"{_called(key)}: missing" for key in wanted - found)
    for key, count in (found - wanted).items():
        yield f"{_called(key)}: not expected{f' (there {count + wanted[key]} times)' if wanted[key] else ''}"


def _paired(steps: Sequence[Step], spans: Sequence[ReceivedSpan]) -> Iterator[tuple[Step, ReceivedSpan]]:
    often = Counter(_key(step) for step in steps)
    for step in steps:
        for span in spans:
            if identity(span) == _key(step) and (often[_key(step)] == 1 or _line_of(span, spans) == _line(step)):
                yield step, span


def _misplaced(steps: Sequence[Step], spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """Of spans that are alike each has its place; here are those in none, and the places that stay empty."""
    often = Counter(_key(step) for step in steps)
    wanted = Counter(_line(step) for step in steps if often[_key(step)] > 1)
    found = Counter(_line_of(span, spans) for span in spans if often[identity(span)] > 1)
    yield from (f"{_called(line[0])}: none under {_under(line)}" for line in wanted - found)
    yield from (f"{_called(line[0])}: not expected under {_under(line)}" for line in found - wanted)


def _line(step: Step) -> tuple[Key, ...]:
    """The step and its ancestors, itself first."""
    return (_key(step), *(_line(step.parent) if step.parent else ()))


def _line_of(span: ReceivedSpan, spans: Sequence[ReceivedSpan]) -> tuple[Key, ...]:
    line, one = [], span
    while one is not None and len(line) < len(spans):
        line.append(identity(one))
        one = parent_of(one, spans)
    return tuple(line)


def _under(line: tuple[Key, ...]) -> str:
    return " under ".join(_called(key) for key in line[1:]) or "nothing"


def _span_faults(
    step: Step, span: ReceivedSpan, spans: Sequence[ReceivedSpan], tags: Expected, convention: str
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
    wanted = "FOLLOWS_FROM" if step.kind == "consumer" else "CHILD_OF"
    if step.parent is not None and relation(span) != wanted:
        yield f"{who}: {relation(span)} its parent, expected is {wanted}"
    for kind, trace_id, span_id in span.references:
        if (trace_id, span_id) != (span.trace_id, span.parent_id):
            yield f"{who}: one more reference, {kind} {trace_id:032x}:{span_id:016x}"
    if span.flags != 1:
        yield f"{who}: flags are {span.flags}, expected is 1 (sampled)"
    yield from (f"{who}: {line}" for line in expected_tags.wrong_tags(span.tags, tags, convention))
    if span.tags.get("error") or span.logs:
        yield f"{who}: marked as failed: {span.logs}"


def _record(spans: Sequence[ReceivedSpan]) -> Iterator[str]:
    """What was consumed is what was sent, as far as the producer was told."""
    for span in spans:
        sent = parent_of(span, spans)
        if sent is not None and identity(span)[2] == "consumer":
            for key in ("partition", "offset", "messaging.destination.partition.id", "messaging.kafka.offset"):
                values = {one.tags[key] for one in (sent, span) if key in one.tags}
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


def _key(step: Step) -> Key:
    return step.service, step.target, step.kind


def _called(key: Key) -> str:
    service, target, kind = key
    return f"{service}, {kind} {target}"
