"""Servers that are told to stop by SIGTERM, as Kubernetes and systemd do: the spans of what they have served arrive.

The agent would send them a minute later only, so they arrive by the stop, or not at all.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_services.receiver import Receiver
from tests import programs
from tests.contracts.http_server import untraced
from tests.export.collector import collecting, hanging
from tests.http_client import http_peer

APP = """
from contextlib import asynccontextmanager
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

@asynccontextmanager
async def lifespan(app):
    yield
    trace.get_tracer("program").start_span("of the stop").end()

app = Starlette(routes=[Route("/hello", hello)], lifespan=lifespan)

if __name__ == "__main__":
    import signal, sys, uvicorn
    if sys.argv[2:]:
        signal.signal(signal.SIGTERM, lambda *_: print("heard"))
    uvicorn.run(app, port=int(sys.argv[1]), log_level="critical")
    print("after")
"""
UVICORN = ("uvicorn", "--port", "{port}", "--log-level", "critical", "app:app")
HYPERCORN = ("hypercorn", "--bind", "127.0.0.1:{port}", "app:app")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "app:app")
SERVERS = {
    "uvicorn": (UVICORN, -signal.SIGTERM),
    "uvicorn --workers": ((*UVICORN, "--workers", "2"), 0),
    "uvicorn.run()": ((sys.executable, "app.py", "{port}"), -signal.SIGTERM),
    "gunicorn with uvicorn's worker": ((*GUNICORN, "-k", "uvicorn_worker.UvicornWorker"), 0),
    "gunicorn asgi": ((*GUNICORN, "-k", "asgi"), 0),
    "hypercorn": (HYPERCORN, 0),
    "hypercorn without workers": ((*HYPERCORN, "--workers", "0"), 0),
}
"""The command, and the exit status as it is without the agent."""


@contextlib.contextmanager
def serving(command: tuple[str, ...], folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    (folder / "app.py").write_text(APP)
    port = http_peer.free_port()
    scripts = programs.RUNNER.parent
    words = [word.replace("{port}", str(port)) for word in command]
    process = subprocess.Popen(
        [str(programs.RUNNER), str(scripts / words[0]), *words[1:]],
        cwd=folder,
        env=programs.environment(AUTOTRACE_FLUSH_SECONDS="60", **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def ask(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with (
                untraced(),
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection,
            ):
                connection.request("GET", "/hello")
                assert connection.getresponse().status == 200
            return
        except OSError:
            assert time.monotonic() < deadline, "it does not serve"
            time.sleep(0.05)


@pytest.mark.parametrize("name", SERVERS)
def test_the_last_spans_arrive_and_the_exit_status_is_the_server_s(name: str, tmp_path: Path) -> None:
    command, status = SERVERS[name]
    with Receiver() as receiver, serving(command, tmp_path, AUTOTRACE_ENDPOINT=receiver.http_url) as (process, port):
        for _ in range(10):
            ask(port)
        process.terminate()
        out, err = process.communicate(timeout=20)
        names = [span.name for span in receiver.wait_for(lambda spans: len(spans) >= 11)]
    assert names.count("GET /hello") == 10, err
    assert "of the stop" in names
    assert (process.returncode, out, "autotrace:" in err) == (status, "", False), err


def test_a_handler_of_the_program_s_is_called_and_the_program_goes_on(tmp_path: Path) -> None:
    command = (sys.executable, "app.py", "{port}", "with a handler")
    with Receiver() as receiver, serving(command, tmp_path, AUTOTRACE_ENDPOINT=receiver.http_url) as (process, port):
        ask(port)
        process.terminate()
        out, err = process.communicate(timeout=20)
        assert [span.name for span in receiver.wait(2)] == ["GET /hello", "of the stop"]
    assert (process.returncode, out) == (0, "heard\nafter\n"), err


def test_a_collector_that_hangs_delays_the_stop_by_the_exit_deadline_at_most(tmp_path: Path) -> None:
    with (
        collecting(hanging) as away,
        serving(UVICORN, tmp_path, AUTOTRACE_ENDPOINT=away.url, AUTOTRACE_EXIT_SECONDS="0.5") as (
            process,
            port,
        ),
    ):
        ask(port)
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=20)
        assert time.monotonic() - began < 3
    assert process.returncode == -signal.SIGTERM
