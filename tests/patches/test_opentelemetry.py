"""opentelemetry: a program that uses the API, and no library of the table, finds autotrace's tracer behind it."""

from __future__ import annotations

from tests.programs import on_path, python


def test_importing_the_api_is_enough() -> None:
    program = "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__module__, trace.get_tracer('x').start_span('y').is_recording())"
    done = on_path(*python(program))
    assert (done.stdout, done.stderr) == ("autotrace.tracing.tracer True\n", "")


def test_the_sdk_is_not_imported_for_it() -> None:
    program = "import sys; from opentelemetry import trace; trace.get_tracer('x').start_span('y').end(); print('opentelemetry.sdk' in sys.modules)"
    assert on_path(*python(program)).stdout == "False\n"


def test_disabled_it_leaves_the_api_as_it_was() -> None:
    program = "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__name__)"
    assert on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="opentelemetry").stdout == "ProxyTracerProvider\n"


def test_a_program_may_import_our_own_files_first() -> None:
    program = "import autotrace.tracing.span; from opentelemetry import trace; print(type(trace.get_tracer_provider()).__module__)"
    done = on_path(*python(program))
    assert (done.stdout, done.stderr) == ("autotrace.tracing.tracer\n", "")
