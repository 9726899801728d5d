"""FastAPI's own telemetry: the program's provider or exporter gets what it gets without the agent; its span
is current.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import programs

PROGRAM = """
import collections, json, os, sys, types, warnings
warnings.simplefilter("ignore")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
kind, headers = sys.argv[1], json.loads(sys.argv[2])
ours, current = [], []
core = sys.modules.get("autotrace.tracing.span")
if core:
    core.Span.sink = staticmethod(ours.append)
config = {}
if kind == "configured":
    os.environ["FASTAPI_OTEL_AUTO_CONFIGURE"] = "true"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = "http://127.0.0.1:1/v1/traces"
    for name in ("_log", "metric", "trace"):
        module = types.ModuleType(f"opentelemetry.exporter.otlp.proto.http.{name}_exporter")
        module.OTLPLogExporter = module.OTLPMetricExporter = module.OTLPSpanExporter = lambda endpoint=None: exporter
        sys.modules[module.__name__] = module
else:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if kind == "global":
        trace.set_tracer_provider(provider)
    else:
        config["tracer_provider"] = provider
early = trace.get_tracer("early")
import fastapi
from fastapi.testclient import TestClient

def see():
    current.append(trace.get_current_span().get_span_context().span_id)

async def failed(request, error):
    see()
    return fastapi.responses.JSONResponse({}, 500)

app = fastapi.FastAPI(telemetry=config, exception_handlers={500: failed})
@app.middleware("http")
async def middleware(request, call_next):
    see()
    return await call_next(request)
@app.get("/hello/{name}")
def hello(name):
    see()
    with trace.get_tracer("program").start_as_current_span("of the program"), early.start_as_current_span("early"):
        return name
@app.get("/boom")
async def boom():
    1 / 0
with TestClient(app, raise_server_exceptions=False) as client:
    assert client.get("/hello/bob", headers=headers).json() == "bob"
    assert client.get("/boom", headers=headers).status_code == 500
trace.get_tracer_provider().force_flush() if kind == "configured" else None
spans = exporter.get_finished_spans()
names = {span.context.span_id: span.name for span in spans}
def told(span):
    parent = span.parent and (names.get(span.parent.span_id) or span.parent.span_id)
    return [span.name, span.kind.name, parent, sorted(span.attributes)]
theirs = [span for span in spans if not span.instrumentation_scope.name.startswith("autotrace")]
agents = [span for span in spans if span not in theirs]
print(json.dumps({
    "theirs": sorted(map(told, theirs), key=str),
    "current": [names.get(one) for one in current],
    "agents": [[one.name, one.kind.name, one.parent and names.get(one.parent.span_id), one.context.trace_id] for one in agents]
    + [[one.name, one.kind.name, names.get(one.parent_id), one.trace_id] for one in ours],
    "traces": {one.name: one.context.trace_id for one in theirs if one.kind.name == "SERVER"},
}))
"""
HEADERS = {"none": {}, "a caller's": {"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}}


def told(run: Any, tmp_path: Path, kind: str, headers: dict[str, str]) -> Any:
    done = run(*programs.python(PROGRAM), kind, json.dumps(headers), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("kind", ["global", "given to FastAPI", "configured"])
def test_it_is_as_without_the_agent_and_each_request_has_one_span_of_the_agent_s_beside_it(
    kind: str, headers: str, tmp_path: Path
) -> None:
    bare = told(programs.bare, tmp_path, kind, HEADERS[headers])
    traced = told(programs.traced, tmp_path, kind, HEADERS[headers])
    assert {name for name, *_ in bare["theirs"]} >= {"GET /hello/{name}", "GET /boom", "fastapi.endpoint"}
    servers = [agent[:2] for agent in traced["agents"] if agent[1] == "SERVER"]
    assert servers == [["GET /hello/{name}", "SERVER"], ["GET /boom", "SERVER"]]
    for name, _, parent, trace_id in traced["agents"]:
        if name in traced["traces"]:
            assert trace_id == traced["traces"][name], "in the right trace"
            assert parent == (None if HEADERS[headers] else name)
    if kind == "given to FastAPI":  # the program's own spans go where they go without it, but for the agent's tracer
        bare["theirs"] = [one for one in bare["theirs"] if one[0] not in ("of the program", "early")]
        traced["theirs"] = [one for one in traced["theirs"] if one[0] not in ("of the program", "early")]
    assert traced["theirs"] == bare["theirs"]
    assert traced["current"] == bare["current"]
