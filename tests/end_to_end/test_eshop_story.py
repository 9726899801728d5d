"""The story of the eshop judges a trace: shown one with a fault, it names the fault.

The trace is a real one, then broken.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from examples.eshop import story
from examples.eshop.places import TOPIC
from examples.eshop.story import EMAIL, PAYMENT, STEPS, faults
from examples.harness.expected_tags import Places
from examples.harness.judge import Step, called
from examples.harness.relations import identity
from test_services.jaeger_thrift import ReceivedSpan
from test_services.receiver import Receiver
from tests.end_to_end.backends import Backends


@pytest.fixture(scope="module")
def right_trace(backends: Backends) -> Iterator[tuple[list[ReceivedSpan], Places]]:
    """One right trace, to be made wrong."""
    with Receiver() as receiver, ExitStack() as opened:
        shop = backends.shop(opened, {"AUTOTRACE_ENDPOINT": receiver.http_url})
        shop.checkout()
        yield receiver.wait(len(STEPS), seconds=30), backends.places(shop)


class TestTheStoryNamesWhatIsWrong:
    """Each test breaks one thing in a right trace. The story names it, and its consequences, and nothing else."""

    @pytest.fixture(autouse=True)
    def copied(self, right_trace: tuple[list[ReceivedSpan], Places]) -> None:
        self.spans, self.places = copy.deepcopy(right_trace[0]), right_trace[1]

    def span(self, service: str, kind: str, target: str) -> ReceivedSpan:
        (found,) = [span for span in self.spans if identity(span) == (service, target, kind)]
        return found

    def faults(self) -> list[str]:
        return faults(self.spans, self.places)

    def test_nothing_while_nothing_is_wrong(self) -> None:
        assert self.faults() == []

    def test_no_spans_at_all(self) -> None:
        self.spans.clear()
        assert len(self.faults()) == len(STEPS)

    @pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.service}-{step.kind}-{step.target.split()[0]}")
    def test_a_span_is_missing(self, step: Step) -> None:
        self.spans.remove(self.span(step.service, step.kind, step.target))
        assert self.faults()[0] == f"{step.service}, {step.kind} {step.target}: missing"
        orphans = [line for line in self.faults()[1:] if "is no span of the trace" in line]
        assert len(orphans) == len(self.faults()) - 1 == sum(other.parent == step for other in STEPS)

    def test_a_span_is_there_twice(self) -> None:
        self.spans.append(dataclasses.replace(self.span("billing", "client", PAYMENT), span_id=7))
        assert self.faults() == [f"billing, client {PAYMENT}: not expected (there 2 times)"]

    def test_a_span_too_many(self) -> None:
        extra = dataclasses.replace(self.span("billing", "client", PAYMENT), span_id=7, name="connect")
        extra.tags = {"span.kind": "client"}
        self.spans.append(extra)
        assert self.faults() == ["billing, client connect: not expected"]

    def test_the_consumer_begins_a_trace_of_its_own(self) -> None:
        consumer = self.span("consumer", "consumer", TOPIC)
        consumer.trace_id, consumer.parent_id, consumer.references = 5, 0, []
        lines = self.faults()
        assert f"consumer, consumer {TOPIC}: in another trace ({5:032x}) than the beginning" in lines
        assert f"consumer, consumer {TOPIC}: no parent" in lines

    def test_a_call_in_the_loop_begins_a_trace_of_its_own(self) -> None:
        """What other agents do to a REST call in the body of `for record in consumer`."""
        call = self.span("consumer", "client", "/sendEmail")
        for service, kind, target in (("notification", "server", "/sendEmail"), ("notification", "client", EMAIL)):
            self.span(service, kind, target).trace_id = 5
        call.trace_id, call.parent_id = 5, 0
        lines = self.faults()
        assert sum("in another trace" in line for line in lines) == 3
        assert "consumer, client /sendEmail: no parent" in lines

    def test_a_wrong_parent(self) -> None:
        checkout = self.span("eshop", "server", "/checkout")
        self.span("inventory", "server", "/createOrder").parent_id = checkout.span_id
        assert self.faults() == [
            "inventory, server /createOrder: its parent is eshop, server /checkout, expected is eshop, client /createOrder"
        ]

    def test_the_checkout_has_a_parent(self) -> None:
        self.span("eshop", "server", "/checkout").parent_id = 7
        assert self.faults() == ["eshop, server /checkout: has a parent, expected is the beginning of the trace"]

    def test_the_consumer_is_a_child(self) -> None:
        self.span("consumer", "consumer", TOPIC).references.clear()
        assert self.faults() == [f"consumer, consumer {TOPIC}: CHILD_OF its parent, expected is FOLLOWS_FROM"]

    def test_another_span_follows_from(self) -> None:
        span = self.span("consumer", "client", "/sendEmail")
        span.references.append(("FOLLOWS_FROM", span.trace_id, span.parent_id))
        assert self.faults() == ["consumer, client /sendEmail: FOLLOWS_FROM its parent, expected is CHILD_OF"]

    def test_a_reference_too_many(self) -> None:
        self.span("consumer", "consumer", TOPIC).references.append(("FOLLOWS_FROM", 1, 2))
        assert self.faults() == [f"consumer, consumer {TOPIC}: one more reference, FOLLOWS_FROM {1:032x}:{2:016x}"]

    def test_a_wrong_kind(self) -> None:
        self.span("eshop", "producer", TOPIC).tags["span.kind"] = "client"
        assert self.faults()[:2] == [
            f"eshop, producer {TOPIC}: missing",
            f"eshop, client {TOPIC}: not expected",
        ]

    def test_a_wrong_name(self) -> None:
        self.span("eshop", "server", "/checkout").name = "checkout"
        assert self.faults() == ["eshop, server /checkout: called 'checkout', expected is 'GET /checkout'"]

    @pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.service}-{step.kind}-{step.target.split()[0]}")
    def test_each_expected_tag_counts(self, step: Step) -> None:
        span = self.span(step.service, step.kind, step.target)
        right, spelled = dict(span.tags), story.tags(step, self.places).of("both")
        identifying = {"span.kind", "http.url", "url.full", "url.path", "db.statement", "message_bus.destination"}
        assert len(spelled) >= 12
        for key in spelled.keys() - identifying:
            span.tags = {name: value for name, value in right.items() if name != key}
            assert f"{called(step)}: no tag {key}" in self.faults()
            span.tags = {**right, key: b"other"}
            assert any(f"tag {key} is b'other'" in line for line in self.faults())

    def test_a_tag_of_the_other_convention(self) -> None:
        for convention, key in (("otel", "message_bus.destination"), ("opentracing", "messaging.system")):
            line = f"eshop, producer {TOPIC}: tag {key} is there, which is not of the convention {convention}"
            assert line in faults(self.spans, self.places, convention)

    def test_a_database_span_that_kiali_would_not_draw(self) -> None:
        self.span("billing", "client", PAYMENT).tags["http.method"] = "GET"
        assert self.faults() == [f"billing, client {PAYMENT}: tag http.method is there, on a span that is not HTTP"]

    def test_another_record_than_was_sent(self) -> None:
        self.span("consumer", "consumer", TOPIC).tags["offset"] += 1
        (line,) = self.faults()
        assert line.startswith("producer and consumer differ in offset: ")

    @pytest.mark.parametrize("key", ["hostname", "host.name"])
    def test_a_process_tag_is_missing(self, key: str) -> None:
        for span in self.spans:
            if span.service == "delivery":
                span.process_tags = {name: value for name, value in span.process_tags.items() if name != key}
        (line,) = self.faults()
        assert line.startswith(f"delivery: process tag {key} is None")

    def test_a_wrong_service(self) -> None:
        self.span("delivery", "server", "/arrangeDelivery").service = "python"
        assert self.faults()[:2] == [
            "delivery, server /arrangeDelivery: missing",
            "python, server /arrangeDelivery: not expected",
        ]

    def test_a_failed_span(self) -> None:
        self.span("delivery", "server", "/arrangeDelivery").tags["error"] = True
        assert self.faults() == ["delivery, server /arrangeDelivery: marked as failed: []"]

    def test_a_span_marked_for_debugging(self) -> None:
        self.span("eshop", "server", "/checkout").flags = 3
        assert self.faults() == ["eshop, server /checkout: flags are 3, expected is 1 (sampled)"]
