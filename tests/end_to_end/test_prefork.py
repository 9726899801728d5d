"""Servers with several processes, as a user starts them: each worker's spans arrive, whatever forks or spawns it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_services import cache, uwsgi
from test_services.receiver import Receiver
from tests import programs
from tests.contracts.http_server import B3, TRACE, untraced
from tests.http_client import http_peer

APP = """
import os, time

def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/boom":
        raise ZeroDivisionError
    start_response("200 OK", [("Content-Type", "text/plain")])
    time.sleep(0.01)
    return [str(os.getpid()).encode()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    import asyncio
    if scope["path"] == "/boom":
        raise ZeroDivisionError
    await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

try:
    import flask
except ImportError:
    pass
else:
    framework = flask.Flask("framework")
    framework.add_url_rule("/<path:rest>", view_func=lambda rest: str(1 // 0 if rest == "boom" else os.getpid()))

class Callable:
    def __call__(self, environ, start_response):
        return wsgi(environ, start_response)

def create():
    return wsgi
application = Callable()
"""
DJANGO = """
import os, sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

if not settings.configured:
    settings.configure(DEBUG=True, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
urlpatterns = [
    path("boom", lambda request: HttpResponse(str(1 // 0))),
    path("<rest>", lambda request, rest: HttpResponse(str(os.getpid()))),
]
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
GUNICORN = ("gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "5")
UVICORN = ("uvicorn", "app:asgi", "--port", "{port}", "--log-level", "critical")
UWSGI = (
    "uwsgi",
    "--http-socket",
    "127.0.0.1:{port}",
    "--master",
    "--processes",
    "2",
    "--virtualenv",
    "environment",  # a link in the program's folder: uWSGI reads no path with letters outside ASCII
    "--die-on-term",
)
MOUNTS = (
    "--mount",
    "/first=app:application",
    "--mount",
    "/second=other.py",
    "--single-interpreter",
    "--manage-script-name",
)

# name: (what serves, component, command)
SERVERS = {
    "gunicorn sync": ("gunicorn", *GUNICORN, "app:wsgi"),
    "gunicorn gthread": ("gunicorn", *GUNICORN, "--threads", "4", "app:wsgi"),
    "gunicorn gevent": ("gunicorn", *GUNICORN, "-k", "gevent", "app:wsgi"),
    "gunicorn preload": ("gunicorn", *GUNICORN, "--preload", "app:wsgi"),
    "gunicorn preload, Flask": ("flask", *GUNICORN, "--preload", "app:framework"),
    "gunicorn asgi": ("gunicorn", *GUNICORN, "-k", "asgi", "app:asgi"),
    "gunicorn with uvicorn's worker": ("uvicorn", *GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "app:asgi"),
    "uvicorn --workers": ("uvicorn", *UVICORN, "--workers", "2"),
    "hypercorn --workers": ("hypercorn", "hypercorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "app:asgi"),
    "waitress-serve": ("waitress", "waitress-serve", "--listen", "127.0.0.1:{port}", "app:wsgi"),
    "Django's runserver": ("django", sys.executable, "manage.py", "runserver", "127.0.0.1:{port}"),
    "uwsgi, Flask": ("flask", *UWSGI, "--module", "app", "--callable", "framework", "--enable-threads"),
    "uwsgi, an object of a file": ("uwsgi", *UWSGI, "--wsgi-file", "app.py"),
    "uwsgi, what a function makes, lazy apps": ("uwsgi", *UWSGI, "--module", "app:create()", "--lazy-apps"),
    "uwsgi, a file with threads, lazy apps": (
        "uwsgi",
        *UWSGI,
        *("--file", "app.py", "--callable", "wsgi", "--lazy-apps", "--threads", "4"),
    ),
    "uwsgi, several mounts": ("uwsgi", *UWSGI, *MOUNTS),
    "uwsgi, gevent": ("uwsgi", *UWSGI, "--module", "app:wsgi", "--gevent", "20", "--gevent-monkey-patch"),
}
ONE_PROCESS = ("waitress-serve", "Django's runserver")
PREFIX = {"uwsgi, several mounts": "/second"}


def uwsgi_program() -> str:
    try:
        return str(uwsgi.program())
    except cache.Unavailable as reason:
        cache.require_real("uWSGI", reason, "its test is skipped")
        pytest.skip("uWSGI cannot be had")


def ask(port: int, path: str) -> tuple[int, str]:
    with untraced(), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers=B3)
        response = connection.getresponse()
        return response.status, response.read().decode()


def fails(port: int, path: str) -> bool:
    """uWSGI closes the connection of an application that raises."""
    try:
        return ask(port, path)[0] == 500
    except http.client.RemoteDisconnected:
        return True


@contextlib.contextmanager
def running(command: list[str], folder: Path, receiver: Receiver, flush: str = "0.05") -> Iterator[int]:
    port = http_peer.free_port()
    (folder / "venv").symlink_to(sys.prefix)  # uWSGI takes no virtualenv whose path is not ASCII
    command = [word.replace("{port}", str(port)).replace("{venv}", str(folder / "venv")) for word in command]
    scripts = Path(sysconfig.get_path("scripts"))
    if not Path(command[0]).is_absolute():
        command[0] = str(scripts / command[0])
    environ = programs.environment(
        AUTOTRACE_ENDPOINT=receiver.http_url,
        AUTOTRACE_FLUSH_SECONDS=flush,
        AUTOTRACE_SERVICE_NAME="prefork",
    )
    (folder / "environment").symlink_to(sys.prefix)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(programs.RUNNER), *command], cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_it_serves(port, process, folder / "log")
        yield port
    finally:
        process.terminate()  # the first alone, which tells the others: as whoever supervises it does
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def wait_until_it_serves(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            ask(port, "/up")
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("name", SERVERS)
def test_every_worker_s_spans_arrive(name: str, tmp_path: Path) -> None:
    component, *command = SERVERS[name]
    prefix = PREFIX.get(name, "")
    if command[0] == "uwsgi":
        command[0] = uwsgi_program()
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "other.py").write_text("from app import create\napplication = create()")
    (tmp_path / "manage.py").write_text(DJANGO)
    with Receiver() as receiver, running(command, tmp_path, receiver) as port:
        answered: list[str] = []
        for _ in range(20):
            threads = [threading.Thread(target=lambda: answered.append(ask(port, prefix + "/x")[1])) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if len(set(answered)) == 2 or name in ONE_PROCESS:
                break
        assert fails(port, prefix + "/boom")
        spans = receiver.wait_for(lambda spans: len(spans) >= len(answered) + 2)
    log = (tmp_path / "log").read_text()
    assert "autotrace:" not in log, log
    assert len(set(answered)) == (1 if name in ONE_PROCESS else 2), "one worker had it all"
    assert len(spans) == len(answered) + 2, "with the first request, and the failing one"
    assert {span.tags["component"] for span in spans} == {component}
    assert {span.tags["span.kind"] for span in spans} == {"server"}
    assert {f"{span.trace_id:032x}" for span in spans} == {TRACE}
    assert {str(span.process_tags["process.pid"]) for span in spans} >= set(answered)
    (failed,) = [span for span in spans if span.tags["http.status_code"] == 500]
    assert failed.tags["error.type"] == "ZeroDivisionError"


@pytest.mark.parametrize(("name", "component"), [("wsgi", "uwsgi"), ("framework", "flask")])
def test_uwsgi_s_workers_share_nothing_and_send_the_last_when_they_stop(
    name: str, component: str, tmp_path: Path
) -> None:
    """uWSGI forks in C, without Python's hooks around a fork.

    Without more care the workers would draw the same ids. And a worker that inherits its master's export thread, which
    a span while loading has started, would wait for that thread for ever.
    """
    while_loading = "from opentelemetry import trace\ntrace.get_tracer('t').start_span('while loading').end()\n"
    (tmp_path / "app.py").write_text(while_loading + APP)
    command = [uwsgi_program(), *UWSGI[1:], "--module", f"app:{name}"]
    with Receiver() as receiver:
        with running(command, tmp_path, receiver, flush="60") as port:
            answered: list[str] = []
            until = time.monotonic() + 60
            while len(set(answered)) < 2 or len(answered) < 16:
                assert time.monotonic() < until, "one worker had it all"
                threads = [threading.Thread(target=lambda: answered.append(ask(port, "/x")[1])) for _ in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            time.sleep(0.3)  # a worker that is stopped while it is busy, be it with its log, runs no exit handlers
        spans = receiver.wait(len(answered) + 2)
    served = [span for span in spans if span.tags.get("span.kind") == "server"]
    assert len(served) == len(answered) + 1
    assert {span.tags["component"] for span in served} == {component}
    assert len({span.span_id for span in served}) == len(served), "every request draws one id, and none of them twice"
    assert [span.name for span in spans if span not in served] == ["while loading"]
    assert "autotrace:" not in (tmp_path / "log").read_text()


def test_a_mount_with_an_interpreter_of_its_own_is_served_untraced_and_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "other.py").write_text("from app import create\napplication = create()")
    command = [uwsgi_program(), *UWSGI[1:], *(option for option in MOUNTS if option != "--single-interpreter")]
    with Receiver() as receiver, running(command, tmp_path, receiver) as port:
        assert [ask(port, path)[0] for path in ("/second/x", "/first/x")] == [200, 200]
        spans = receiver.wait_for(lambda spans: any("/first/x" in str(span.tags["http.url"]) for span in spans))
    assert not [span for span in spans if "/second" in str(span.tags["http.url"])]
    log = (tmp_path / "log").read_text()
    assert (log.count("autotrace:"), log.count("Add `single-interpreter = true`")) == (1, 1)
