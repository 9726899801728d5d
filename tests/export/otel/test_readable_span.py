"""A finished span as OpenTelemetry's SDK knows it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from autotrace.export.otel import readable_span
from autotrace.semantics import span_reader
from autotrace.tracing.span import FOLLOWS_FROM
from tests.export.finished import Resource, ended, named, story

pytestmark = pytest.mark.usefixtures("nothing_contained")


class TestAReadableSpan:
    def test_has_the_content_of_the_span(self, convention: str) -> None:
        resource = Resource()
        for span in story():
            got = readable_span.to_readable(span, resource)  # type: ignore[arg-type]
            assert isinstance(got, ReadableSpan)
            assert (got.name, got.kind) == (span.name, span.kind)
            assert (got.start_time, got.end_time) == (span.start_time, span.end_time)
            assert (got.context.trace_id, got.context.span_id) == (span.trace_id, span.span_id)
            assert dict(got.attributes or {}) == dict(span_reader.tags(span))
            assert (got.parent.span_id if got.parent else 0) == span.parent_id
            assert got.resource.attributes["service.name"] == "shop"
            assert got.resource.attributes["hostname"] == "pod-1"
            assert got.instrumentation_scope.name == f"autotrace.{span.family.scope}"  # type: ignore[union-attr]
            json.loads(got.to_json())

    def test_of_a_failure_has_status_and_event(self) -> None:
        call = story()[3]
        got = readable_span.to_readable(call, Resource())  # type: ignore[arg-type]
        assert got.status.status_code is StatusCode.ERROR
        assert got.status.description == "ConnectionError: no route"
        (event,) = got.events
        assert event.name == "exception"
        assert event.attributes["exception.message"] == "no route"

    def test_of_a_consumer_has_a_remote_parent_and_its_link(self) -> None:
        consumer = story()[4]
        got = readable_span.to_readable(consumer, Resource())  # type: ignore[arg-type]
        assert got.parent.is_remote
        (link,) = got.links
        assert (link.context.trace_id, link.context.span_id) == (consumer.trace_id, consumer.parent_id)
        assert dict(link.attributes) == FOLLOWS_FROM

    def test_of_the_programs_own_has_its_scope_status_and_only_what_opentelemetry_allows(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        span = named("mine")
        span.scope = "my.module"
        attributes: Any = {
            "list": [1, 2], "mixed": [1, "a"], "none": None, "object": {1: 2}, 5: "five", "empty": [],
        }  # fmt: skip
        span.set_attributes(attributes)
        span.set_status(StatusCode.OK)
        got = readable_span.to_readable(ended(span), Resource())  # type: ignore[arg-type]
        assert got.instrumentation_scope.name == "my.module"
        assert got.status.status_code is StatusCode.OK
        assert dict(got.attributes) == {
            "list": (1, 2), "mixed": '[1, "a"]', "object": '{"1": 2}', "5": "five", "empty": (),
        }  # fmt: skip
        assert caplog.records == []

    def test_shares_one_resource(self) -> None:
        resource: Any = Resource()
        one, two = (readable_span.to_readable(span, resource) for span in story()[:2])
        assert one.resource is two.resource
        assert readable_span.to_readable(story()[0], Resource()).resource is not one.resource  # type: ignore[arg-type]

    def test_is_taken_by_an_exporter_of_the_sdk(self) -> None:
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        written = io.StringIO()
        spans = [readable_span.to_readable(span, Resource()) for span in story()]  # type: ignore[arg-type]
        ConsoleSpanExporter(out=written).export(spans)
        assert "GET /checkout" in written.getvalue()
