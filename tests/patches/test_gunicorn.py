"""gunicorn's workers on a real socket: every promise of an HTTP server. Forks, gevent: end_to_end/test_prefork.py."""

from __future__ import annotations

import logging
import os
import socket
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gunicorn.http.wsgi
import gunicorn.workers.gthread
import gunicorn.workers.sync
import pytest
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker

from autotrace import containment
from autotrace.http_server.request import current_request
from autotrace.patches import gunicorn as patch
from autotrace.patching import Plan, Unpatchable
from autotrace.tracing import current
from tests.contracts.http_server import HttpServer, finished
from tests.http_server import wsgi_story
from tests.recorded import Recorded, record, tags


@pytest.fixture(autouse=True)
def quiet() -> None:
    for name in ("gunicorn.error", "story"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def serving(kind: Any, application: Any) -> Iterator[str]:
    """A worker of gunicorn's in a thread: its own accepting, parsing and sending, without the process around it."""

    class Application(BaseApplication):
        def load_config(self) -> None:
            self.cfg.set("threads", 4)
            self.cfg.set("worker_tmp_dir", None)
            self.cfg.set("loglevel", "critical")

        def load(self) -> Any:
            return application

    class Worker(kind):  # type: ignore[misc]
        def init_signals(self) -> None:
            """Belong to the main thread."""

    app = Application()
    config: Config = app.cfg
    listener = socket.create_server(("127.0.0.1", 0))
    worker = Worker(1, os.getppid(), [Listener(listener)], app, 1, config, Logger(config))
    worker.log.error_log.setLevel(logging.CRITICAL + 1)
    thread = threading.Thread(target=worker.init_process, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    worker.alive = False
    thread.join(5)
    listener.close()


class Listener:
    """A socket as gunicorn.sock wraps it, as far as workers look."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


class TestGunicornSync(HttpServer):
    component = "gunicorn"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from serving(SyncWorker, wsgi_story.bare)


class TestGunicornThreads(HttpServer):
    component = "gunicorn"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from serving(ThreadWorker, wsgi_story.bare)


class TestGunicornWithFlask(HttpServer):
    component = "flask"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from serving(ThreadWorker, wsgi_story.flask_app())


def test_the_application_gets_the_server_s_own_objects(spans: Recorded) -> None:
    given: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        given.append(start_response.__self__)
        given.append([key for key in environ if "autotrace" in key.lower()])
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))

    for url in serving(ThreadWorker, app):
        assert HttpServer().ask(url, "/")[1].startswith('"""gunicorn')
        finished(spans, 1)
    assert isinstance(given[0], gunicorn.http.wsgi.Response)
    assert given[1] == []


def test_an_error_after_the_headers_were_sent(spans: Recorded) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"a"
        wsgi_story.boom()

    for url in serving(SyncWorker, app):
        with pytest.raises(Exception):  # noqa: B017 - however the client takes half an answer
            HttpServer().ask(url, "/")
        (span,) = finished(spans, 1)
    assert tags(span)["error.type"] == "ZeroDivisionError"
    assert tags(span)["http.status_code"] == 200


def test_what_a_program_leaves_current_does_not_meet_the_next_request(spans: Recorded) -> None:
    """A worker serves all its requests on one thread."""
    from opentelemetry import context, trace

    def app(environ: Any, start_response: Any) -> Any:
        context.attach(trace.set_span_in_context(trace.get_tracer("t").start_span("left")))
        start_response("200 OK", [])
        return [b"x"]

    for url in serving(SyncWorker, app):
        for _ in range(2):
            HttpServer().ask(url, "/")
        first, second = finished(spans, 2)
    assert (first.parent_id, second.parent_id) == (0, 0)
    assert first.trace_id != second.trace_id


def test_a_program_that_leaves_another_context_attached_loses_no_span(spans: Recorded) -> None:
    from opentelemetry import context

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        context.attach(context.Context())  # as attach(extract(headers)) does
        return [b"x"]

    for url in serving(SyncWorker, app):
        for _ in range(2):
            HttpServer().ask(url, "/")
        assert [(span.parent_id, tags(span)["http.status_code"]) for span in finished(spans, 2)] == [(0, 200)] * 2


def test_an_environ_that_somebody_else_makes_starts_nothing(spans: Recorded) -> None:
    """Nobody would end the request, because no worker handles it."""
    sock = socket.create_server(("127.0.0.1", 0))
    request = types.SimpleNamespace(
        headers=[], method="GET", path="/", query="", fragment="", uri="/", version=(1, 1), scheme="http", body=None,
        proxy_protocol_info=None, _expected_100_continue=False, trailers=[], unreader=None,
    )  # fmt: skip
    gunicorn.http.wsgi.create(request, sock, ("127.0.0.1", 1), ("127.0.0.1", 2), Config())
    sock.close()
    assert current_request() is None
    assert current.get() == {}


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.wsgi.start_or_adopt",
        "autotrace.http_server.wsgi.Url",
        "autotrace.http_server.request.Request",
        "autotrace.http_server.request.Request.set_status",
        "autotrace.http_server.hooks.current_request",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        for url in serving(SyncWorker, wsgi_story.bare):
            assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
            assert HttpServer().ask(url, "/boom")[0] == 500
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    before = SyncWorker.handle_request, gunicorn.http.wsgi.create
    plan = Plan()
    patch.sync(gunicorn.workers.sync, plan)
    patch.messages(gunicorn.http.wsgi, plan)
    plan.apply()
    assert (SyncWorker.handle_request, gunicorn.http.wsgi.create) == before


def test_modules_without_what_is_needed_are_refused_whole() -> None:
    fake = types.ModuleType("gunicorn.http.wsgi")
    fake.create = lambda req: None  # type: ignore[attr-defined]
    plan = Plan()
    with pytest.raises(Unpatchable, match="Response"):
        patch.messages(fake, plan)
    assert plan._undo == []
    for function in (patch.sync, patch.gthread, patch.base_async, patch.asgi_protocol):
        with pytest.raises(Unpatchable):
            function(fake, Plan())
