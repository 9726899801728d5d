"""A program that sets its own TracerProvider keeps it, and that provider makes autotrace's spans. In child
processes.
"""

from __future__ import annotations

import json

from tests.programs import on_path, python

SET = """
import json, logging, sys
logging.basicConfig(stream=sys.stdout)
from opentelemetry import trace
{early}
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
assert trace.get_tracer_provider() is provider
import sqlite3
connection = sqlite3.connect(":memory:")
with {tracer}.start_as_current_span("work"):
    connection.execute("select 1 where 'a' = 'secret'")
    try:
        connection.execute("select nothing")
    except sqlite3.OperationalError:
        pass
print(json.dumps([(s.name, s.context.trace_id, s.context.span_id, s.parent and s.parent.span_id, s.kind.name, dict(s.attributes), s.status.status_code.name)
    for s in memory.get_finished_spans()]))
"""


def run(early: str, tracer: str) -> list[list[object]]:
    done = on_path(*python(SET.format(early=early, tracer=tracer)))
    assert (done.returncode, done.stderr) == (0, "")
    spans: list[list[object]] = json.loads(done.stdout)
    return spans


def test_our_spans_go_through_the_programs_provider_and_nest_in_its_spans() -> None:
    first, failing, work = run("", "trace.get_tracer('shop')")
    assert [first[0], failing[0], work[0]] == ["SELECT", "SELECT", "work"]
    assert first[1] == failing[1] == work[1]
    assert first[3] == failing[3] == work[2]
    assert first[4] == "CLIENT"
    attributes = first[5]
    assert isinstance(attributes, dict)
    assert attributes["db.system.name"] == "sqlite"
    assert "secret" not in json.dumps(attributes)
    assert (first[6], failing[6]) == ("UNSET", "ERROR")


def test_a_tracer_taken_before_the_provider_was_set_uses_it_too() -> None:
    spans = run("early = trace.get_tracer('shop')", "early")
    assert [span[0] for span in spans] == ["SELECT", "SELECT", "work"]


def test_a_start_that_is_set_afterwards_is_the_start_of_the_providers_span() -> None:
    """Batches and failed connects get their span when they are over."""
    program = SET.partition("import sqlite3")[0].replace("{early}", "") + (
        "import time\nfrom autotrace.semantics import http\nfrom autotrace.tracing import tracer\n"
        "from opentelemetry.trace import SpanKind\n"
        "begin = time.time_ns() - 10**9\nspan = tracer.start(http.CLIENT, SpanKind.CLIENT, {'method': 'GET'})\n"
        "span.start_time = begin\nspan.end(begin + 5)\n"
        "(done,) = memory.get_finished_spans()\nprint(done.end_time - done.start_time, done.start_time == begin)"
    )
    done = on_path(*python(program))
    assert (done.stdout, done.stderr) == ("5 True\n", "")


def test_a_failure_while_the_span_is_described_ends_the_providers_span_all_the_same() -> None:
    program = SET.partition("import sqlite3")[0].replace("{early}", "") + (
        "from autotrace.semantics import http\nfrom autotrace.tracing import program_provider, tracer\n"
        "from opentelemetry.trace import SpanKind\n"
        "program_provider.ProviderSpan._describe = lambda self: 1 / 0\n"
        "tracer.start(http.CLIENT, SpanKind.CLIENT, {}).end()\nprint(len(memory.get_finished_spans()))"
    )
    assert on_path(*python(program), AUTOTRACE_LOG="off").stdout == "1\n"


def test_a_provider_that_a_variable_names_is_the_programs() -> None:
    program = "from opentelemetry import trace; import sqlite3; print(type(trace.get_tracer_provider()).__module__)"
    done = on_path(*python(program), OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider")
    assert (done.stdout, done.stderr) == ("opentelemetry.sdk.trace\n", "")
