"""Exporter `jaeger_thrift` on OpenTelemetry's own package, and what that package lacks."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from autotrace.export.jaeger import exporter as jaeger
from autotrace.export.otel import jaeger_package, jaeger_thrift
from autotrace.propagation.context import DEBUG, RANDOM, SAMPLED
from autotrace.semantics import span_reader
from test_services.jaeger import Jaeger
from test_services.receiver import Receiver
from tests.export.finished import Resource, ended, named, new, settings, story

pytestmark = pytest.mark.usefixtures("nothing_contained")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The package writes `error` twice, and tags without a value."""
    with Receiver(strict=False) as running:
        yield running


def send(exporter: Any, spans: Any) -> None:
    exporter.export(spans, Resource(), time.monotonic() + 5)
    exporter.close()


class TestOpenTelemetrysPackage:
    @pytest.mark.parametrize("way", ["http", "udp"])
    def test_sends_the_spans(self, receiver: Receiver, way: str) -> None:
        where = receiver.http_url if way == "http" else f"udp://127.0.0.1:{receiver.udp_port}"
        exporter = jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint=where))
        assert isinstance(exporter, jaeger_thrift.JaegerThrift)
        spans = story()
        send(exporter, spans)
        got = receiver.wait(len(spans))
        for one, span in zip(got, spans, strict=True):
            assert (one.service, one.name, one.trace_id) == ("shop", span.name, span.trace_id)
            assert (one.span_id, one.parent_id) == (span.span_id, span.parent_id)
            assert one.tags["span.kind"] == span.kind.name.lower()
            assert one.tags.items() >= dict(span_reader.tags(span)).items()
        assert got[4].references == [("FOLLOWS_FROM", spans[1].trace_id, spans[1].span_id)]

    def test_splits_batches_that_are_too_large(self, receiver: Receiver) -> None:
        spans = [named(f"{number}") for number in range(40)]
        for span in spans:
            span.set_attribute("text", "x" * 10_000)
            ended(span)
        send(
            jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint=f"udp://127.0.0.1:{receiver.udp_port}")),
            spans,
        )
        assert [span.name for span in receiver.wait(40)] == [f"{number}" for number in range(40)]

    @pytest.mark.parametrize(("flags", "sent"), [(SAMPLED | RANDOM, 1), (SAMPLED | DEBUG, 3)])
    def test_marks_only_debug_as_debug(self, receiver: Receiver, flags: int, sent: int) -> None:
        send(
            jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint=receiver.http_url)),
            [ended(new(flags=flags))],
        )
        assert receiver.wait(1)[0].flags == sent

    def test_reports_a_refusal(self, receiver: Receiver) -> None:
        wrong = receiver.http_url.replace("/api/traces", "/elsewhere")
        with pytest.raises(OSError, match=r"/elsewhere: 404"):
            send(jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint=wrong)), story())
        with pytest.raises(OSError):
            send(jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint="http://127.0.0.1:1")), story())

    def test_is_made_without_a_warning(self, receiver: Receiver) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint=receiver.http_url)).close()

    @pytest.mark.parametrize("way", ["http", "udp"])
    def test_sends_the_spans_of_a_program_that_ends_at_once(self, receiver: Receiver, way: str) -> None:
        """Then everything is imported and made during the exit."""
        where = receiver.http_url if way == "http" else f"udp://127.0.0.1:{receiver.udp_port}"
        program = (
            "from autotrace import activation; activation.activate(); "
            "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1')"
        )
        environment = {**os.environ, "AUTOTRACE_EXPORTER": "jaeger_thrift", "AUTOTRACE_ENDPOINT": where}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert [span.name for span in receiver.wait(1)] == ["SELECT"]

    def test_to_a_port_of_another_protocol_is_reported(self, capfd: pytest.CaptureFixture[str]) -> None:
        jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint="udp://127.0.0.1:6832")).close()
        assert "6832" in capfd.readouterr().err

    def test_missing_is_reported_with_the_remedy_and_the_exporter_jaeger_is_used(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(jaeger_package, "NAME", "opentelemetry.exporter.jaeger.absent")
        assert isinstance(jaeger_thrift.make(settings(exporter="jaeger_thrift")), jaeger.Exporter)
        err = capfd.readouterr().err
        assert "pip install autotrace-agent[jaeger_thrift]" in err
        assert err.count("\n") == 1


# In an interpreter of its own: nothing must be imported yet.
LENDING = """
import sys
import opentelemetry.sdk.environment_variables as environment
{before}
def names():
    return {{name: value for name, value in vars(environment).items() if "JAEGER" in name}}
before = names()
from autotrace.export.otel.jaeger_package import load
assert load().JaegerExporter.__name__ == "JaegerExporter"
assert names() == before
{after}
"""


class TestAMissingName:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", ""),
            (
                "environment.OTEL_EXPORTER_JAEGER_USER = 'given'",
                "assert environment.OTEL_EXPORTER_JAEGER_USER == 'given'",
            ),
            (
                "class Hide:\\n def find_spec(self, name, *rest):\\n"
                "  if name == 'deprecated': raise ModuleNotFoundError(name)\\n"
                "import importlib.util; real = importlib.util.find_spec\\n"
                "importlib.util.find_spec = lambda name, *rest: None if name == 'deprecated' else real(name, *rest)\\n"
                "sys.meta_path.insert(0, Hide())",
                "assert 'deprecated' not in sys.modules",
            ),
        ],
        ids=["as it is installed here", "a name that is there is kept", "without the package deprecated"],
    )  # fmt: skip
    def test_is_lent_and_taken_back(self, before: str, after: str) -> None:
        program = LENDING.format(before=before.replace("\\n", "\n"), after=after)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def test_is_really_lacking_here(self) -> None:
        """Otherwise the tests above would prove nothing."""
        assert importlib.util.find_spec("opentelemetry.exporter.jaeger.thrift") is not None
        done = subprocess.run(
            [sys.executable, "-c", "import opentelemetry.exporter.jaeger.thrift"], capture_output=True, text=True
        )
        assert "OTEL_EXPORTER_JAEGER" in done.stderr


def test_jaeger_itself_takes_it(jaeger: Jaeger) -> None:
    spans = story()
    send(jaeger_thrift.make(settings(exporter="jaeger_thrift", endpoint=jaeger.endpoint)), spans)
    trace = jaeger.trace(f"{spans[0].trace_id:032x}", len(spans))
    assert {span["operationName"] for span in trace["spans"]} == {span.name for span in spans}
    assert SpanKind.CONSUMER in {span.kind for span in spans}
